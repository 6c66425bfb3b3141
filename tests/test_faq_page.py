"""The guide to FAQ bots: its bot trains and answers, and parsed messages look as the page shows."""

import asyncio
import json
import re
from pathlib import Path

import pytest
import rasa
import yaml
from rasa.core.agent import Agent

PAGE = (Path(__file__).parents[1] / "docs" / "faq_bots.md").read_text(encoding="utf-8")
QUICK = {"epochs": 8, "batch_size": 4, "learning_rate": 2e-3, "max_length": 32, "vocabulary": "full"}
QUESTION = "is parking free"


def snippets(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)


def shape(value):
    """The keys and types of a JSON value; of a list, those of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else type(value)


@pytest.fixture(scope="module")
def bot(tmp_path_factory, tiny_weights):
    """A folder with the bot of the page, its first config.yml and tiny weights."""
    folder = tmp_path_factory.mktemp("faq_page")
    config, *data = snippets("yaml")
    content = yaml.safe_load(config)
    content["pipeline"][0].update(QUICK, model_weights=str(tiny_weights))
    content.update(assistant_id="faq", policies=[{"name": "RulePolicy"}])
    (folder / "config.yml").write_text(yaml.safe_dump(content))
    for text in data:
        (kind,) = {"nlu", "responses", "rules", "pipeline"} & set(yaml.safe_load(text))
        if kind != "pipeline":
            (folder / f"{kind}.yml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def agent(bot):
    files = [str(bot / name) for name in ("nlu.yml", "rules.yml")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_MAX_CACHE_SIZE", "0")
        trained = rasa.train(str(bot / "responses.yml"), str(bot / "config.yml"), files, output=str(bot))
    return Agent.load(trained.model)


@pytest.mark.slow
def test_messages_get_what_the_page_shows(agent):
    parsed = asyncio.run(agent.parse_message(QUESTION))
    (shown,) = snippets("json")
    found, expected = parsed["response_selector"], json.loads(shown)
    assert shape(found) == shape(expected)
    for name in ("faq", "default"):
        response = found[name]["response"]
        assert {**response, "confidence": 0.97} == expected[name]["response"] and response["confidence"] > 0.5
        ranking = [entry["intent_response_key"] for entry in found[name]["ranking"]]
        assert ranking == [entry["intent_response_key"] for entry in expected[name]["ranking"]]


@pytest.mark.slow
def test_the_rule_answers(agent):
    (answer,) = asyncio.run(agent.handle_text(QUESTION))
    assert answer["text"] == "Guests park for free behind the hotel."


def test_the_conversation_is_one_of_rasas():
    (text,) = re.findall(r"```\n(- user: .*?)```", PAGE, flags=re.DOTALL)
    assert [list(step) for step in yaml.safe_load(text)] == [["user", "intent"], ["action"]]
