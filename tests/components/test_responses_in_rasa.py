"""A bot with frequently asked questions, trained by `rasa train` and asked as by a user."""

import asyncio
import json

import pytest
from rasa.core.agent import Agent
from rasa_project import FAQ, make_project

pytestmark = pytest.mark.slow
QUESTIONS = {text: name for name, texts in FAQ.items() for text in texts}
SELECTOR = {"name": "ResponseSelector", "epochs": 1, "retrieval_intent": "faq"}


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_weights):
    return make_project(tmp_path_factory.mktemp("faq"), tiny_weights)


@pytest.fixture(scope="module")
def trained(project):
    said = project.rasa("train", "--fixed-model-name", "faq")
    assert "response selector" not in said.lower(), said
    return project.model("faq")


def parsed(archive):
    agent = Agent.load(str(archive))
    return agent, {text: asyncio.run(agent.parse_message(text)) for text in QUESTIONS}


def test_utter_faq_answers(trained):
    agent, messages = parsed(trained)
    asked = {text: message for text, message in messages.items() if message["intent"]["name"] == "faq"}
    assert len(asked) >= 4  # of six questions; the intents of the others may be wrong
    right = 0
    for text, message in asked.items():
        selected = message["response_selector"]["faq"]["response"]["intent_response_key"]
        (answer,) = asyncio.run(agent.handle_text(text, sender_id=text))
        assert answer["text"] == selected == message["intent"].get("full_retrieval_intent_name", selected)
        right += selected == QUESTIONS[text]
    assert right >= len(asked) - 1


def test_rasas_report_of_responses(project, trained):
    project.rasa("test", "nlu", "-m", str(trained), "--out", "results", "--no-plot")
    report = json.loads((project.folder / "results" / "response_selection_report.json").read_text())
    assert set(report) >= set(FAQ) and report["accuracy"] > 0.6


def test_a_selector_of_rasas_own_selects_its_retrieval_intent(project, trained):
    project.write_config("selector.yml", SELECTOR)
    project.rasa("train", "--fixed-model-name", "selector", "--config", "selector.yml")
    _, ours = parsed(trained)
    _, theirs = parsed(project.model("selector"))
    for text in QUESTIONS:
        found = theirs[text]["response_selector"]
        assert set(found) == {"all_retrieval_intents", "faq"}
        assert found["faq"] != ours[text]["response_selector"]["faq"]  # it has other confidences than ours
