"""The script `responses`: rows, scores, and a whole run without training."""

import argparse
import json
import sys

import pytest
from rasa.shared.nlu.training_data.loading import load_data

from benchmarks import responses
from benchmarks.common import comparing
from benchmarks.common.datasets import write_nlu
from rasa_compressed_bert.benchmark.measuring import _responses
from rasa_compressed_bert.data.example import LabelledMessage

MESSAGES = [
    *(LabelledMessage(f"who are you {index}", "ask_who") for index in range(4)),
    *(LabelledMessage(f"do you speak {index}", "ask_faq_voice") for index in range(4)),
    *(LabelledMessage(f"which slots {index}", "ask_faq_slots") for index in range(4)),
    *(LabelledMessage(f"hello {index}", "greet") for index in range(4)),
]
PREFIXES = (("ask_faq_", "faq"), ("ask_", "chitchat"))
RENAMED = {"ask_who": "chitchat/who", "ask_faq_voice": "faq/voice", "ask_faq_slots": "faq/slots", "greet": "greet"}
EPOCHS = argparse.Namespace(epochs=0, diet_epochs=100)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "bot").mkdir()
    for name in ("train", "test"):
        write_nlu(MESSAGES, tmp_path / "bot" / f"{name}.yml")
    return tmp_path


@pytest.fixture
def run(data, monkeypatch):
    def run(*options):
        monkeypatch.setattr(sys, "argv", ["responses", *map(str, options)])
        return responses.main()

    return run


@pytest.fixture
def trained(monkeypatch):
    """Replaces training and comparison by stubs; records the trained configurations by folder."""
    configs = {}

    def train(folder, config, nlu, *, reuse):
        configs[folder.name] = config
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.tar.gz").write_bytes(str(folder).encode())
        return {"training_s": 9.0, "command": "rasa train nlu", "config": config, "made_by_other_code": False}

    def compare(models, messages, **options):
        figures = {"latency_p50_ms": 2.5, "archive_mb": 9.96, "memory_mb": 70.0, "accuracy": 0.75}
        return [{"model": name, **figures} for name in models]

    def answers(archive, messages):
        if archive.parent.name.startswith("without"):
            return {"intents": ["greet"] * len(messages), "responses": [{}] * len(messages)}
        intents = [responses.retrieval_intent(message.intent) for message in messages]
        return {"intents": intents, "responses": [{"default": "faq/voice"}] * len(messages)}

    monkeypatch.setattr(comparing, "train_row", train)
    monkeypatch.setattr(comparing, "compare_models", compare)
    monkeypatch.setattr(responses, "answers", answers)
    return configs


def test_a_whole_run(data, trained, run):
    options = ["--data", f"bot={data / 'bot'}", "--prefix", "ask_faq_=faq", "--prefix", "ask_=chitchat", "--seeds", 2]
    options += ["--work", data / "work", "--results", data / "results"]
    assert run(*options) == 0
    assert list(trained) == [f"{row}_{seed}" for row in responses.ROWS for seed in (1, 2)]
    assert [item["random_seed"] for item in trained["diet_2"]["pipeline"] if "random_seed" in item] == [2, 2]
    nlu = load_data(str(data / "work" / "responses_bot" / "data" / "train.yml"))
    assert {example.get_full_intent() for example in nlu.intent_examples} == set(RENAMED.values())
    assert set(nlu.responses) == {"utter_chitchat/who", "utter_faq/voice", "utter_faq/slots"}
    results = json.loads((data / "results" / "responses_bot.json").read_text())
    assert str(data) not in json.dumps(results)
    assert results["retrieval_messages"] == 12 and results["retrieval_intents"] == ["chitchat", "faq"]
    page = (data / "results" / "responses_bot.md").read_text()
    figures = "33.3 ± 0.0 % | 33.3 ± 0.0 % | 50.0 ± 0.0 % | 75.0 ± 0.0 % | 2.50 ± 0.00 | 70 ± 0 | 10.0 ± 0.0 | 9 ± 0 |"
    assert f"| PrunedBertIntentClassifier | {figures}" in page
    assert "`response_selection: false` |  |  |  | 75.0 ± 0.0 %" in page
    assert run(*options) == 0 and (data / "results" / "responses_bot.md").read_text() == page


def test_intents_of_a_prefix_become_responses(data):
    found = responses.load(data / "bot" / "train.yml", PREFIXES)
    assert [message.intent for message in found] == [RENAMED[message.intent] for message in MESSAGES]
    assert responses.renamed("ask_faq_voice/a", PREFIXES) == "ask_faq_voice/a", "a retrieval intent stays as it is"


def test_scores():
    names = ["faq/voice", "faq/slots", "chitchat/who", "greet"]
    messages = [LabelledMessage(name, name) for name in names]
    found = {
        "intents": ["faq", "greet", "chitchat", "greet"],
        "responses": [
            {"faq": "faq/voice", "default": "chitchat/who"},
            {"faq": "faq/slots", "chitchat": "chitchat/who"},
            {"default": "faq/voice"},
            {"faq": "faq/voice"},
        ],
    }
    assert responses.scores(messages, found) == pytest.approx(
        {"response_accuracy": 2 / 3, "end_to_end": 1 / 3, "all_messages": 1 / 2}
    )
    without = {"intents": ["faq"], "responses": [{}]}
    assert set(responses.scores(messages[:1], without).values()) == {None}


def test_rows():
    ours, without = (
        responses.row_config(row, chinese=False, arguments=EPOCHS)["pipeline"] for row in ("ours", "without")
    )
    assert [item.pop("response_selection") for item in (*ours, *without)] == [True, False] and ours == without
    (chinese,) = responses.row_config("ours", chinese=True, arguments=EPOCHS)["pipeline"]
    assert chinese["model_weights"] == "multilingual-e5-small"
    (student,) = responses.row_config("student", chinese=True, arguments=EPOCHS)["pipeline"]
    assert student["teacher"] == {"model_weights": "multilingual-e5-small"}
    names = [item["name"] for item in responses.row_config("diet", chinese=False, arguments=EPOCHS)["pipeline"]]
    assert names[-3:] == ["EntitySynonymMapper", "ResponseSelector", "FallbackClassifier"]
    names = [item["name"] for item in responses.row_config("lmf_diet", chinese=True, arguments=EPOCHS)["pipeline"]]
    assert names == ["WhitespaceTokenizer", "LanguageModelFeaturizer", "DIETClassifier", "ResponseSelector"]


def test_responses_that_a_worker_reports():
    entry = {"response": {"intent_response_key": "faq/voice", "confidence": 0.5}, "ranking": []}
    parsed = {"response_selector": {"all_retrieval_intents": ["faq"], "faq": entry, "default": entry}}
    assert _responses(parsed) == {"faq": "faq/voice", "default": "faq/voice"}
    assert _responses({}) == {}


@pytest.mark.parametrize(
    "options, words",
    [
        (["--rows", "oors"], "unknown rows: oors; known: ours"),
        (["--seeds", 0], "--seeds: at least 1"),
        (["--prefix", "ask_"], "PREFIX=INTENT, such as ask_faq_=faq"),
    ],
)
def test_what_cannot_be_run_is_refused(run, capsys, options, words):
    with pytest.raises(SystemExit) as stopped:
        run("--data", "x=y", *options)
    assert stopped.value.code == 2 and words in capsys.readouterr().err


def test_data_without_retrieval_intents_is_refused(data, trained, run, capsys):
    assert run("--data", f"bot={data / 'bot'}", "--work", data / "work") == 2 and not trained
    assert "has no retrieval intents. Make some of its intents with --prefix" in capsys.readouterr().err
