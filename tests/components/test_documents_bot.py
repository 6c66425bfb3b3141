"""The bot that answers from documents: its data is consistent, and once trained it answers in the shell."""

import asyncio
import importlib.util
import json
import os
import pty
import re
import shutil
from pathlib import Path

import pytest
import yaml
from rasa.core.agent import Agent
from rasa_project import Project, ended, wait_for
from rasa_sdk.executor import ActionExecutor

import rasa_compressed_bert
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.documents import read_documents
from rasa_compressed_bert.data.squad import read_questions

ROOT = Path(rasa_compressed_bert.__file__).resolve().parents[1]
BOT = ROOT / "example_bot_documents"
ASKED = (BOT / "sample_questions.txt").read_text(encoding="utf-8").splitlines()
DEMO = bool(os.environ.get("DEMO"))  # `make test-demo`: a real training of four minutes on one core
SAID = ["three hours", "fifty-five euros", "at the kiosk by the pier", "I don't know."]


def read(name):
    return yaml.safe_load((BOT / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def learnt():
    return read_questions([str(BOT / "questions.json")], option="training_data")


def test_config_is_valid():
    options = dict(read("config.yml")["pipeline"][1])
    assert options.pop("name") == "rasa_compressed_bert.BertAnswerExtractor"
    BertAnswerExtractorConfig.from_dict(options)


def test_no_question_that_is_learnt_is_left_out(caplog):
    learnt = read_questions([str(BOT / "questions.json")], option="training_data")  # here, so that caplog hears it
    entries = json.loads((BOT / "questions.json").read_text(encoding="utf-8"))["data"]
    asked = [entry for document in entries for passage in document["paragraphs"] for entry in passage["qas"]]
    assert len(learnt) == len(asked) and sum(not question.answers for question in learnt) >= 50
    assert not caplog.records
    assert len({(question.text, question.passage) for question in learnt}) == len(learnt)


def test_the_documents_and_their_questions_are_not_learnt(learnt):
    documents = read_documents(str(BOT / "documents"), option="documents")
    sentences = [part.strip() for one in documents for part in one.text.replace("\n", " ").split(".") if part.strip()]
    assert len(documents) == 2 and len(sentences) > 10
    passages = {question.passage for question in learnt}
    assert not [sentence for sentence in sentences for passage in passages if sentence in passage]
    assert not set(ASKED) & {question.text for question in learnt}
    texts = [" ".join(one.text.split()) for one in documents]
    assert [any(said in text for text in texts) for said in SAID] == [True, True, True, False]


@pytest.mark.parametrize(
    ("answer", "said"), [({"text": "at nine", "document": "trips.md"}, "at nine (trips.md)"), (None, "I don't know.")]
)
def test_the_custom_action(answer, said):
    """Run as by `rasa run actions`; Rasa leaves null values out of a message."""
    spec = importlib.util.spec_from_file_location("documents_actions", BOT / "actions" / "actions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    executor = ActionExecutor()
    executor.register_action(module.ActionAnswer)
    message = {"text": "when", **({"answer": answer} if answer else {})}
    tracker = {"sender_id": "guest", "slots": {}, "latest_message": message, "events": [], "paused": False}
    response = asyncio.run(executor.run({"next_action": "action_answer", "tracker": tracker, "domain": {}}))
    assert [said_one["text"] for said_one in response["responses"]] == [said]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A copy of the bot, trained with its own configuration and the shipped weights; briefly unless `DEMO` is set."""
    ignored = shutil.ignore_patterns("models", ".rasa")
    bot = Project(shutil.copytree(BOT, tmp_path_factory.mktemp("copy") / "documents_bot", ignore=ignored), {})
    if not DEMO:
        config = read("config.yml")
        config["pipeline"][1].update(epochs=1, no_answer_threshold=0.0)
        (bot.folder / "config.yml").write_text(yaml.safe_dump(config))
        questions = json.loads((BOT / "questions.json").read_text(encoding="utf-8"))
        (bot.folder / "questions.json").write_text(json.dumps({**questions, "data": questions["data"][:4]}))
    bot.rasa("data", "validate", "--fail-on-warnings")
    bot.rasa("train", "--fixed-model-name", "tested", seconds=3600)
    return bot


@pytest.mark.slow
def test_questions_are_answered_in_the_shell(trained):
    """With `DEMO` three of them are answered correctly; the fourth has no answer."""
    master, slave = pty.openpty()
    process = trained.start("shell", "-m", str(trained.model("tested")), stdin=slave, stdout=slave, stderr=slave)
    with ended(process):
        os.close(slave)
        wait_for(master, "Your input", seconds=120)
        for question, said in zip(ASKED, SAID if DEMO else [".md)"] * len(ASKED)):
            os.write(master, f"{question}\r".encode())
            wait_for(master, re.escape(said) + r"(?s:.)*Your input", seconds=60)
    os.close(master)


@pytest.mark.slow
def test_the_parsed_message_has_the_answer(trained):
    """What `rasa shell nlu` shows, and `/model/parse` and custom actions get."""
    agent = Agent.load(str(trained.model("tested")))
    found = [asyncio.run(agent.parse_message(question)).get("answer") for question in ASKED]
    texts = {one.name: one.text for one in read_documents(str(BOT / "documents"), option="documents")}
    for answer in filter(None, found):
        assert texts[answer["document"]][answer["start"] : answer["end"]] == answer["text"]
    if not DEMO:
        assert None not in found
        return
    assert [" ".join(answer["text"].split()) for answer in found[:3]] == SAID[:3]
    assert found[3] is None
