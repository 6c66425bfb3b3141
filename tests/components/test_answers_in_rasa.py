"""Answers from documents in a Rasa project: trained by `rasa train`, then asked."""

import json
import os
import pty
import re

import pytest
import yaml
from rasa_project import ended, make_project, parse_over_http, wait_for

from rasa_compressed_bert.benchmark.server import serve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_weights, answer_files):
    """A project whose answer extractor accepts every answer (a threshold of 0)."""
    project = make_project(tmp_path_factory.mktemp("answers_in_rasa"), tiny_weights)
    options = {"model_weights": str(tiny_weights), "epochs": 1, "max_length": 64, "no_answer_threshold": 0.0}
    answers = {"name": "rasa_compressed_bert.BertAnswerExtractor", **options, **answer_files}
    config = {"recipe": "default.v1", "language": "en", "assistant_id": "tiny", "pipeline": [answers]}
    (project.folder / "answers.yml").write_text(yaml.safe_dump({**config, "policies": [{"name": "RulePolicy"}]}))
    project.rasa("train", "nlu", "--config", "answers.yml", "--fixed-model-name", "answers")
    return project


def test_shell(project, answer_files):
    master, slave = pty.openpty()
    process = project.start(
        "shell", "nlu", "-m", str(project.model("answers")), stdin=slave, stdout=slave, stderr=slave
    )
    with ended(process):
        os.close(slave)
        wait_for(master, "Next message", seconds=120)
        os.write(master, b"how is the pizza ?\n")
        said = wait_for(master, r'"answer": \{[^}]*\}', seconds=60)
    os.close(master)
    assert_of_a_document(json.loads(re.search(r'"answer": (\{[^}]*\})', said)[1]), answer_files)


def assert_of_a_document(answer, answer_files):
    with open(f"{answer_files['documents']}/{answer['document']}", encoding="utf-8") as file:
        assert file.read()[answer["start"] : answer["end"]] == answer["text"] != ""


def test_over_http(project, answer_files):
    with serve(project.model("answers")) as server:
        assert_of_a_document(parse_over_http(server.url, "how is the pizza ?")["answer"], answer_files)
        assert "answer" not in parse_over_http(server.url, "zzz")


def test_trained_again_from_the_cache(project):
    said = project.rasa("train", "nlu", "--config", "answers.yml", "--fixed-model-name", "again")
    assert "Restored component 'BertAnswerExtractor' from cache" in said
