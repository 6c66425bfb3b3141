"""Dependencies whose details we rely on have upper bounds, which the test environment meets."""

import configparser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
