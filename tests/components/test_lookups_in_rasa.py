"""Lookup tables in files, in Rasa's real command line: Rasa changes such tables before a component is trained."""

import pytest
import yaml
from rasa_project import Project

from rasa_compressed_bert.artifact.archives import artifacts_of

pytestmark = pytest.mark.slow
NLU = """
version: "3.1"
nlu:
- intent: greet
  examples: |
    - hello
    - good morning
- intent: order
  examples: |
    - order a [pizza](dish)
    - i like [curry](dish)
- lookup: dish
  examples: |
    - dishes.txt
"""
OPTIONS = {"epochs": 1, "max_length": 32, "validation_split": 0.0, "pruning": {"method": "none"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_weights):
    folder = tmp_path_factory.mktemp("project")
    component = {"name": "rasa_compressed_bert.JointBertClassifier", "model_weights": str(tiny_weights), **OPTIONS}
    config = {"recipe": "default.v1", "language": "en", "assistant_id": "tiny", "pipeline": [component]}
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    (folder / "data").mkdir()
    (folder / "data" / "nlu.yml").write_text(NLU)
    return Project(folder, {})


def values_of(project, name):
    (artifact,) = artifacts_of(project.model(name)).values()
    return artifact.manifest["entities"]["values"]


def test_values_of_a_file_and_its_changes_are_learnt(project):
    dishes = project.folder / "dishes.txt"
    dishes.write_text("rice\nsoup\n")
    project.train("first")
    assert values_of(project, "first") == {"dish": ["rice", "soup"]}
    assert "Restored component 'JointBertClassifier' from cache" in project.train("unchanged")
    dishes.write_text("rice\nbread\n")
    project.train("changed")
    assert values_of(project, "changed") == {"dish": ["bread", "rice"]}


def test_rasa_itself_fails_on_a_longer_file(project):
    """As docs/entities.md says: it takes the text for a path, before any component is trained."""
    (project.folder / "dishes.txt").write_text("\n".join(f"dish {number}" for number in range(100)))
    said = project.train("longer", fails=True)
    assert "File name too long: 'dish 0" in said
    assert "Starting to train" not in said
