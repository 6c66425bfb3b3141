"""Dependencies whose details we rely on have upper bounds, which the test environment meets."""

import configparser
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rasa_compressed_bert.errors import INSTALL_SPACY

SETUP = Path(__file__).parents[1] / "setup.cfg"
SPACY_PAGE = Path(__file__).parents[1] / "docs" / "spacy.md"
MODULES = {"scikit-learn": "sklearn"}  # whose names are not those of their distributions
IN_DETAIL = (
    "ai-edge-litert",
    "onnx",
    "onnxruntime",
    "optuna",
    "protobuf",
    "rasa",
    "rich-argparse",
    "safetensors",
    "spacy",
    "tokenizers",
    "transformers",
)


def requirements():
    """Every requirement in setup.cfg, including those of the extras."""
    parser = configparser.ConfigParser()
    parser.read(SETUP, encoding="utf-8")
    lists = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    lines = [line.strip() for text in lists for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name", IN_DETAIL)
def test_upper_bounds(name):
    found = [requirement for requirement in requirements() if requirement.name == name]
    assert found
    for requirement in found:
        assert any(specifier.operator == "<" for specifier in requirement.specifier), str(requirement)
        assert requirement.specifier.contains(metadata.version(name))


def with_their_own(names):
    """Distributions, and all those that they require."""
    found, left = set(), list(names)
    while left:
        name = left.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        needed = map(Requirement, metadata.requires(name) or ())
        left += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def test_a_package_of_spacy_loads_with_what_the_page_installs_alone():
    (line,) = re.findall(r"`pip install (onnxruntime [^`]+)`", SPACY_PAGE.read_text(encoding="utf-8"))
    present = with_their_own(Requirement(one).name for one in shlex.split(line))
    absent = {one.name for one in requirements() if not one.marker} - present
    modules = sorted(MODULES.get(name, name.replace("-", "_")) for name in absent)
    assert {"rasa", "scipy", "sklearn", "transformers"} <= set(modules)
    code = f"import sys; sys.modules.update(dict.fromkeys({modules!r})); "  # so that none can be imported
    code += "from rasa_compressed_bert.spacy_pipeline import component, secondary_pipeline"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_what_an_error_says_to_install_is_a_version_that_fits():
    """`pip install spacy` alone would bring a version, and with it a pydantic, that Rasa 3.6 does not work with."""
    (named,) = {str(requirement) for requirement in requirements() if requirement.name == "spacy"}
    assert INSTALL_SPACY.startswith("pip install '") and str(Requirement(INSTALL_SPACY.split("'")[1])) == named
