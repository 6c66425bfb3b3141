"""Our commands print nothing but their own lines: no warnings or logs of libraries."""

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
    r"(sensitivity|benchmark|search|report|measuring (config.yml|again to \w+)): \d+ of \d+ \w+, \d+ s(, .*)?"
    r"|This model is already compressed .*|\d+ messages? (has an intent|have intents) that the model does not know .*"
    r"|search: .*|(\w|[ ()-])+: \d+ s\."
)
"""The lines that our commands print to standard error."""


COMMANDS = (  # those that import least come first
    "init --yes --out new/config.yml",
    "inspect artifact --latency",
    "augment --nlu nlu.yml --out texts.csv --n-iter 2",
    "report artifact --nlu nlu.yml",
    "sensitivity artifact --nlu nlu.yml --bits 4 --sparsity 0.5",
    "export artifact --out onnx",
    "export artifact --format tflite --out tflite",
    "package-spacy artifact --name en_test --language en --out package",
)
END = "== end of the command =="
IN_ONE_PROCESS = f"""
import os, sys
from rasa_compressed_bert.__main__ import main

for command in sys.argv[1:]:
    assert main(command.split()) == 0
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.write(stream.fileno(), b"{END}\\n")
"""


def said_by(arguments, folder):
    """Standard output and error of a Python process whose environment variables silence nothing."""
    quiet = ("TF_CPP_MIN_LOG_LEVEL", "RASA_TELEMETRY_ENABLED", "SQLALCHEMY_SILENCE_UBER_WARNING", "PYTHONWARNINGS")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    environment.update(PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES="-1")
    done = subprocess.run(
        [sys.executable, *arguments], cwd=str(folder), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an artifact and NLU data."""
    path = tmp_path_factory.mktemp("silence")
    write_artifact(small_artifact(), path / "artifact")
    (path / "nlu.yml").write_text(NLU, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def said(folder):
    """Standard output and error of each command; one process runs them all, in order."""
    out, error = (text.split(f"{END}\n") for text in said_by(["-c", IN_ONE_PROCESS, *COMMANDS], folder))
    assert len(out) == len(error) == len(COMMANDS) + 1
    return dict(zip(COMMANDS, zip(out, error)))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_commands_are_silent(command, said):
    out, error = said[command]
    assert [line for line in error.splitlines() if not OURS.fullmatch(line)] == [] and "site-packages" not in out


def test_quiet_says_nothing_but_results(folder):
    command = "sensitivity artifact --nlu nlu.yml --bits 4 --sparsity 0.5 --out quiet --quiet"
    out, error = said_by(["-m", "rasa_compressed_bert", *command.split()], folder)
    assert "macro F1" in out and error == ""


@pytest.mark.slow
def test_search_and_benchmark_are_silent(folder, tiny_weights):
    ours = {"name": "rasa_compressed_bert.PrunedBertIntentClassifier", "model_weights": str(tiny_weights), "epochs": 1}
    ours["validation_split"] = 0.0
    config = {"recipe": "default.v1", "assistant_id": "test", "language": "en", "pipeline": [ours]}
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    search = "-m rasa_compressed_bert search --nlu nlu.yml --config config.yml --trials 1 --splits 1"
    _, error = said_by(search.split(), folder)
    for line in ("measuring config.yml: 1 of 1 models", "search: 1 of 1 trials", "measuring again to choose: "):
        assert line in error
    assert [line for line in error.splitlines() if not OURS.fullmatch(line)] == []
    _, error = said_by("-m rasa_compressed_bert benchmark study/picked/best --nlu nlu.yml --rounds 1".split(), folder)
    assert [line for line in error.splitlines() if not OURS.fullmatch(line)] == []
