"""The guide to answers from documents: its bot trains, finds answers, and gives them as the page shows."""

import asyncio
import json
import re
from pathlib import Path

import pytest
import rasa
import yaml
from answer_harness import write_documents, write_questions
from component_harness import EXAMPLES
from rasa.core.agent import Agent
from rasa.utils.endpoints import EndpointConfig
from rasa_sdk.executor import ActionExecutor

PAGE = (Path(__file__).parents[2] / "docs" / "answers.md").read_text(encoding="utf-8")
QUICK = {"epochs": 8, "batch_size": 4, "learning_rate": 2e-3, "vocabulary": "full"}
QUESTION = "how is the pizza ?"


def snippets(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)


CONFIG, ENDPOINTS, RULES, RESPONSES = map(yaml.safe_load, snippets("yaml")[:4])


@pytest.fixture(scope="module")
def agent(tmp_path_factory, tiny_weights):
    """The bot of the page with tiny weights and a threshold that accepts every answer."""
    folder = tmp_path_factory.mktemp("answers_page")
    classifier, _, answers = CONFIG["pipeline"]
    for component in (classifier, answers):
        component.update(QUICK, model_weights=str(tiny_weights))
    (folder / "squad").mkdir()
    training_data = write_questions(folder / answers["training_data"], 20)
    documents = write_documents(folder / answers["documents"])
    answers.update(max_length=64, no_answer_threshold=0.0, training_data=training_data, documents=documents)
    intents = {**EXAMPLES, "ask_documents": [QUESTION, "how is the rain ?", "how is the food ?", "how is the sun ?"]}
    nlu = [{"intent": name, "examples": "".join(f"- {text}\n" for text in texts)} for name, texts in intents.items()]
    files = {
        "domain.yml": {"version": "3.1", "intents": list(intents), **RESPONSES},
        "config.yml": {**CONFIG, "assistant_id": "page", "policies": [{"name": "RulePolicy"}]},
        "data.yml": {"version": "3.1", "nlu": nlu, **RULES},
    }
    domain, config, data = (str(folder / name) for name in files)
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_MAX_CACHE_SIZE", "0")
        trained = rasa.train(domain, config, [data], output=str(folder))
    return Agent.load(trained.model, generator=EndpointConfig(**ENDPOINTS["nlg"]))


@pytest.mark.slow
def test_a_message_gets_what_the_page_shows_and_the_bot_says_it(agent):
    answer = asyncio.run(agent.parse_message(QUESTION))["answer"]
    (shown,) = map(json.loads, snippets("json"))
    assert {name: type(value) for name, value in answer.items()} == {name: type(value) for name, value in shown.items()}
    (said,) = asyncio.run(agent.handle_text(QUESTION))
    assert said["text"] == f"{answer['text']} ({answer['document']})"


@pytest.mark.slow
def test_without_an_answer_it_says_so(agent):
    (said,) = asyncio.run(agent.handle_text("/ask_documents"))
    assert said["text"] == "I don't know."


@pytest.mark.parametrize(("answer", "said"), [({"text": "at nine"}, "at nine"), (None, "I don't know.")])
def test_the_custom_action(answer, said):
    """Run as on an action server; Rasa leaves null values out of a message."""
    (code,) = snippets("python")
    names = {}
    exec(code, names)
    executor = ActionExecutor()
    executor.register_action(names["ActionAnswer"]())
    message = {"text": "when", **({"answer": answer} if answer else {})}
    tracker = {"sender_id": "guest", "slots": {}, "latest_message": message, "events": [], "paused": False}
    response = asyncio.run(executor.run({"next_action": "action_answer", "tracker": tracker, "domain": {}}))
    assert [one["text"] for one in response["responses"]] == [said]
