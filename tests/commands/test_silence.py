"""No line of a library that nobody asked: what our commands write is theirs alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_archives import small_artifact

from rasa_compressed_bert.artifact.artifact import write_artifact

ROOT = Path(__file__).parents[2]
NLU = """
version: "3.1"
nlu:
- intent: a
  examples: |
    - oh it is hot
    - it is [cold](feeling) today
    - is it hot
    - is it very cold
    - oh hot it is
    - it is so cold
- intent: b
  examples: |
    - oh oh
    - hot oh
    - cold oh oh
    - oh so [hot](feeling)
    - oh very cold
    - oh oh oh hot
"""
OURS = re.compile(
    r"(sensitivity|benchmark|search|report|measuring again to (choose|report)): \d+ of \d+ \w+, \d+ s(, .*)?"
    r"|This model is compressed already .*|\d+ messages? cannot be right, .*"
    r"|search: .*|search: another worker .*|(\w|[ ()-])+: \d+ s\."
)
"""What our commands say on standard error."""


def said_by(arguments, folder, *, module="rasa_compressed_bert"):
    """Standard output and error of a command in an environment where nothing is silenced beforehand."""
    quiet = ("TF_CPP_MIN_LOG_LEVEL", "RASA_TELEMETRY_ENABLED", "SQLALCHEMY_SILENCE_UBER_WARNING", "PYTHONWARNINGS")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    environment.update(PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES="-1")
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=str(folder), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An artifact, and NLU data."""
    path = tmp_path_factory.mktemp("silence")
    write_artifact(small_artifact(), path / "artifact")
    (path / "nlu.yml").write_text(NLU, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        "init --yes --out new/config.yml",
        "inspect artifact --latency",
        "report artifact --nlu nlu.yml",
        "sensitivity artifact --nlu nlu.yml --bits 4 --sparsity 0.5",
        "augment --nlu nlu.yml --out texts.csv --n-iter 2",
        "export artifact --out onnx",
        "export artifact --format tflite --out tflite",
        "package-spacy artifact --name en_test --language en --out package",
    ],
    ids=lambda arguments: arguments.split()[0],
)
def test_commands_are_silent(arguments, folder):
    out, error = said_by(arguments.split(), folder)
    assert [line for line in error.splitlines() if not OURS.fullmatch(line)] == [] and "site-packages" not in out


def test_quiet_says_nothing_but_results(folder):
    arguments = ["sensitivity", "artifact", "--nlu", "nlu.yml", "--bits", "4", "--sparsity", "0.5", "--out", "quiet"]
    out, error = said_by([*arguments, "--quiet"], folder)
    assert "macro F1" in out and error == ""


@pytest.mark.slow
def test_search_and_benchmark_are_silent(folder, tiny_weights):
    ours = {"name": "rasa_compressed_bert.PrunedBertIntentClassifier", "model_weights": str(tiny_weights), "epochs": 1}
    config = {"recipe": "default.v1", "assistant_id": "test", "language": "en", "pipeline": [ours]}
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    search = "search --nlu nlu.yml --config config.yml --trials 1 --splits 1"
    _, error = said_by(search.split(), folder)
    assert "search: 1 of 1 trials" in error and "measuring again to choose: " in error
    assert [line for line in error.splitlines() if not OURS.fullmatch(line)] == []
    _, error = said_by("benchmark study/picked/best --nlu nlu.yml --rounds 1".split(), folder)
    assert [line for line in error.splitlines() if not OURS.fullmatch(line)] == []
