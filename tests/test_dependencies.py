"""Dependencies whose details we rely on have upper bounds, which the test environment meets."""

import configparser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rasa_compressed_bert.errors import INSTALL_SPACY

SETUP = Path(__file__).parents[1] / "setup.cfg"
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


def test_what_an_error_says_to_install_is_a_version_that_fits():
    """`pip install spacy` alone would bring a version, and with it a pydantic, that Rasa 3.6 does not work with."""
    (named,) = {str(requirement) for requirement in requirements() if requirement.name == "spacy"}
    assert INSTALL_SPACY.startswith("pip install '") and str(Requirement(INSTALL_SPACY.split("'")[1])) == named
