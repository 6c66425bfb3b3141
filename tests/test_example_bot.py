"""The example bot: its data is consistent, and it passes its own stories after a training."""

import asyncio
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from forked_rasa import run_rasa
from rasa.core.agent import Agent

import rasa_compressed_bert
from rasa_compressed_bert.config import JointBertClassifierConfig

ROOT = Path(rasa_compressed_bert.__file__).resolve().parents[1]
BOT = ROOT / "example_bot"
COMPONENT = "rasa_compressed_bert.JointBertClassifier"
QUESTION = "oh it is hot"
DEMO = bool(os.environ.get("DEMO"))  # `make test-demo`


def read(name):
    return yaml.safe_load((BOT / name).read_text(encoding="utf-8"))


def examples():
    """The texts of the NLU data by intent, without annotations."""
    return {intent: [without_annotations(text) for text in texts] for intent, texts in annotated_examples().items()}


def without_annotations(text):
    return re.sub(r"\[([^\]]*)\](\([^)]*\)|\{[^}]*\})", r"\1", text)


def annotated_examples():
    """The annotated texts by intent, or by response for frequently asked questions."""
    return listed("intent", "data/nlu.yml", "data/faq.yml")


def listed(kind, *names):
    """The examples of all items of a kind in some files, by name of the item."""
    items = [item for name in names for item in read(name)["nlu"] if kind in item]
    return {
        item[kind]: [line.strip()[2:].strip() for line in item["examples"].splitlines() if line.strip()]
        for item in items
    }


def dishes(texts):
    return {dish for text in texts for dish in re.findall(r"\[([^\]]*)\]\(dish\)", text)}


def questions():
    """The test messages that are frequently asked questions, and their responses."""
    asked = {name: texts for name, texts in listed("intent", "tests/test_nlu.yml").items() if name.startswith("faq/")}
    return [(without_annotations(text), name) for name, texts in asked.items() for text in texts]


def story_messages():
    """The pairs of message and intent in the test stories."""
    steps = [step for story in read("tests/test_stories.yml")["stories"] for step in story["steps"] if "user" in step]
    return [(without_annotations(step["user"].strip()), step["intent"]) for step in steps]


def normalised(text):
    return " ".join(text.lower().split())


def test_there_are_enough_intents_and_examples():
    sizes = {intent: len(texts) for intent, texts in examples().items()}
    assert len(sizes) >= 12 + 10
    assert min(size for name, size in sizes.items() if "/" not in name) >= 20, sizes
    assert [name for name, size in sizes.items() if size < 9] == []


def test_no_message_is_there_twice():
    counts = Counter(normalised(text) for texts in examples().values() for text in texts)
    assert [text for text, count in counts.items() if count > 1] == []


def test_stories_and_test_messages_are_not_in_the_training_data():
    learned = {normalised(text) for texts in examples().values() for text in texts}
    asked = [without_annotations(text) for texts in listed("intent", "tests/test_nlu.yml").values() for text in texts]
    assert [text for text in [*asked, *(text for text, _ in story_messages())] if normalised(text) in learned] == []


def test_domain_and_data_have_the_same_intents():
    assert set(read("domain.yml")["intents"]) == {intent.split("/")[0] for intent in examples()}
    assert {intent for _, intent in story_messages()} <= set(examples())


def test_ten_questions_have_answers_and_are_asked():
    names = {name for name in examples() if name.startswith("faq/")}
    assert len(names) == 10
    assert {name for name in read("domain.yml")["responses"] if "/" in name} == {f"utter_{name}" for name in names}
    assert {name for _, name in questions()} == names


def test_half_of_the_dishes_of_the_lookup_table_occur_in_no_example():
    table = listed("lookup", "data/dishes.yml")["dish"]
    assert len(table) == len(set(table)) == 40
    new = [
        dish for dish in table if not any(dish in normalised(text) for texts in examples().values() for text in texts)
    ]
    assert len(new) == 20 and set(table) - set(new) == dishes(
        text for texts in annotated_examples().values() for text in texts
    )
    assert dishes(text for texts in listed("intent", "tests/test_nlu.yml").values() for text in texts) == set(new)


def test_the_ambiguous_question_is_in_the_stories():
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
    """A copy of the bot without trained models and caches."""
    ignored = shutil.ignore_patterns("models", ".rasa", "results")
    return shutil.copytree(BOT, tmp_path_factory.mktemp("copy") / "example_bot", ignore=ignored)


def rasa(bot, *arguments):
    status, said = run_rasa(arguments, bot, environment={}, seconds=800)
    assert status == 0, said
    return said


@pytest.mark.slow
def test_rasa_finds_the_data_valid(bot):
    rasa(bot, "data", "validate", "--fail-on-warnings")


@pytest.fixture(scope="module")
def trained(bot):
    """The bot, trained with the shipped weights as by `make demo`; for fewer epochs unless `DEMO` is set."""
    if not DEMO:
        config = read("config.yml")
        config["pipeline"][0]["epochs"] = 3
        (bot / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    printed = rasa(bot, "train", "--fixed-model-name", "tested")
    assert "response selector" not in printed and "consisting of lookup tables" not in printed, printed
    return bot


@pytest.fixture(scope="module")
def report_of(trained):
    """Runs `rasa test` on the stories and the NLU data; returns a function that reads one of its reports."""
    data = ("--stories", "tests", "--nlu", "tests/test_nlu.yml")
    rasa(trained, "test", *data, "--out", "results", "--no-plot", "--fail-on-prediction-errors")
    return lambda name: json.loads((trained / "results" / name).read_text())


@pytest.mark.slow
def test_trained_bot_passes_its_stories(report_of):
    report = report_of("story_report.json")
    assert report["conversation_accuracy"]["correct"] == report["conversation_accuracy"]["total"] > 0


@pytest.mark.slow
def test_rasas_reports_of_questions_and_dishes(report_of):
    assert report_of("response_selection_report.json")["accuracy"] >= 0.9
    assert report_of("intent_report.json")["faq"]["recall"] >= 0.9
    found = report_of("JointBertClassifier_report.json")["dish"]
    assert found["recall"] >= 0.9 and found["precision"] >= 0.9


@pytest.mark.slow
def test_questions_are_answered_and_new_dishes_found_as_in_the_shell(trained):
    """The agent handles each line as `rasa shell` does."""
    agent = Agent.load(str(trained / "models" / "tested.tar.gz"))
    responses = read("domain.yml")["responses"]
    answered = 0
    for text, name in questions():
        answers = asyncio.run(agent.handle_text(text, sender_id=text))
        answered += [answer.get("text") for answer in answers] == [responses[f"utter_{name}"][0]["text"]]
    assert answered >= 0.9 * len(questions())
    parsed = asyncio.run(agent.parse_message("the fish and chips were cold again"))
    assert [(entity["entity"], entity["value"]) for entity in parsed["entities"]] == [("dish", "fish and chips")]


@pytest.mark.slow
def test_a_first_try_of_a_newcomer(trained):
    agent = Agent.load(str(trained / "models" / "tested.tar.gz"))
    found = {text: asyncio.run(agent.parse_message(text))["intent"]["name"] for text in ("asdkjh qwe", "🤷", QUESTION)}
    assert found == {"asdkjh qwe": "nlu_fallback", "🤷": "nlu_fallback", QUESTION: "complain_weather_hot"}
    capital = asyncio.run(agent.parse_message("what is the capital of Peru"))
    assert capital["intent"]["name"] in ("nlu_fallback", "out_of_scope")
