"""The example bot: its data is sound, and trained with its own configuration it passes its own stories."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

import rasa_compressed_bert
from rasa_compressed_bert.config import JointBertClassifierConfig

ROOT = Path(rasa_compressed_bert.__file__).resolve().parents[1]
BOT = ROOT / "example_bot"
COMPONENT = "rasa_compressed_bert.JointBertClassifier"
QUESTION = "oh it is hot"


def read(name):
    return yaml.safe_load((BOT / name).read_text(encoding="utf-8"))


def examples():
    """Texts of the NLU data by intent, without annotations."""
    return {intent: [without_annotations(text) for text in texts] for intent, texts in annotated_examples().items()}


def without_annotations(text):
    return re.sub(r"\[([^\]]*)\](\([^)]*\)|\{[^}]*\})", r"\1", text)


def annotated_examples():
    """Texts as they are written."""
    return {
        item["intent"]: [line.strip()[2:].strip() for line in item["examples"].splitlines() if line.strip()]
        for item in read("data/nlu.yml")["nlu"]
    }


def story_messages():
    """Pairs of message and intent of the test stories."""
    steps = [step for story in read("tests/test_stories.yml")["stories"] for step in story["steps"] if "user" in step]
    return [(without_annotations(step["user"].strip()), step["intent"]) for step in steps]


def normalised(text):
    return " ".join(text.lower().split())


def test_there_are_enough_intents_and_examples():
    sizes = {intent: len(texts) for intent, texts in examples().items()}
    assert len(sizes) >= 12
    assert min(sizes.values()) >= 20, sizes


def test_no_message_is_there_twice():
    counts = Counter(normalised(text) for texts in examples().values() for text in texts)
    assert [text for text, count in counts.items() if count > 1] == []


def test_stories_and_samples_ask_what_was_not_learned():
    learned = {normalised(text) for texts in examples().values() for text in texts}
    assert [text for text, _ in story_messages() if normalised(text) in learned] == []


def test_domain_and_data_have_the_same_intents():
    assert set(read("domain.yml")["intents"]) == set(examples())
    assert {intent for _, intent in story_messages()} <= set(examples())


def test_the_question_of_the_thread_is_asked():
    assert (QUESTION, "complain_weather_hot") in story_messages()


def test_there_are_a_dozen_sample_messages():
    assert len((BOT / "sample_messages.txt").read_text(encoding="utf-8").split("\n")) >= 12


def test_config_is_valid():
    (options,) = [dict(item) for item in read("config.yml")["pipeline"] if item["name"] == COMPONENT]
    options.pop("name")
    JointBertClassifierConfig.from_dict(options)


def test_places_dishes_and_times_are_annotated():
    found = Counter()
    for texts in annotated_examples().values():
        for text in texts:
            found.update(re.findall(r"\]\((\w+)\)", text))
            found.update(re.findall(r'"role": "(\w+)"', text))
    assert set(found) == {"dish", "time", "place", "from", "to"} and min(found.values()) >= 7, found
    (place,) = [item for item in read("domain.yml")["entities"] if isinstance(item, dict)]
    assert place == {"place": {"roles": ["from", "to"]}}


@pytest.fixture(scope="module")
def bot(tmp_path_factory):
    """A copy of the bot without anything that was trained before."""
    ignored = shutil.ignore_patterns("models", ".rasa", "results")
    return shutil.copytree(BOT, tmp_path_factory.mktemp("copy") / "example_bot", ignore=ignored)


def rasa(bot, *arguments):
    finished = subprocess.run(
        [sys.executable, "-m", "rasa", *arguments],
        cwd=bot,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


@pytest.mark.slow
def test_rasa_finds_the_data_valid(bot):
    rasa(bot, "data", "validate", "--fail-on-warnings")


@pytest.mark.slow
def test_trained_bot_passes_its_stories(bot):
    """With its own configuration and the shipped weights, as `make demo` trains it."""
    rasa(bot, "train", "--fixed-model-name", "tested")
    rasa(bot, "test", "core", "--e2e", "--stories", "tests", "--out", "results", "--fail-on-prediction-errors")
    report = json.loads((bot / "results" / "story_report.json").read_text())
    assert report["conversation_accuracy"]["correct"] == report["conversation_accuracy"]["total"] > 0
