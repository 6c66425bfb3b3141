"""The script `few_shot`: sampling a few messages of each intent, frozen features, tables and a whole run."""

import json
import sys
from collections import Counter

import pytest

from benchmarks import few_shot
from benchmarks.common import few_shot_data, rows
from benchmarks.common.datasets import write_nlu
from benchmarks.common.few_shot_data import few_of_each, find_test, published_for, shots_of, write_training
from benchmarks.common.few_shot_pages import plot, to_markdown
from benchmarks.common.frozen import frozen_scores
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example, LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.reporting.environment import environment

WORDS = {
    "weather": "rain sun warm hot cold today tomorrow".split(),
    "food": "spice spicy pizza curry order food".split(),
}
MESSAGES = [
    LabelledMessage(f"{word} {more}", intent) for intent, words in WORDS.items() for word in words for more in "ab"
]


def test_few_messages_of_each_intent_are_drawn_by_the_seed():
    rare = [*MESSAGES, LabelledMessage("hello", "rare")]
    five, ten = (few_of_each(rare, count, seed=1) for count in (5, 10))
    assert Counter(message.intent for message in five) == {"weather": 5, "food": 5, "rare": 1}
    assert set(five) < set(ten) and five == few_of_each(rare, 5, seed=1) != few_of_each(rare, 5, seed=2)
    assert few_of_each(rare, 100, seed=1) == rare


def test_training_messages_are_those_of_the_data_set_or_drawn(tmp_path):
    write_nlu(MESSAGES, tmp_path / "train.yml")
    assert shots_of(tmp_path, None) == list(few_shot_data.DEFAULT_SHOTS)
    write_nlu(MESSAGES[:3], tmp_path / "train_2.yml")
    assert shots_of(tmp_path, None) == [2] and shots_of(tmp_path, [4, 3]) == [3, 4]
    own = [write_training(tmp_path, tmp_path / "work", shots=2, seed=seed) for seed in (1, 2)]
    assert own[0] == own[1] and load_messages(own[0]) == MESSAGES[:3]
    drawn = [write_training(tmp_path, tmp_path / "work", shots=3, seed=seed) for seed in (1, 2)]
    assert drawn[0] != drawn[1] and [len(load_messages(path)) for path in drawn] == [6, 6]


def test_test_messages_are_those_of_the_data_set_or_named(tmp_path):
    source, other = tmp_path / "few", tmp_path / "whole"
    for folder in (source, other):
        folder.mkdir()
    with pytest.raises(CompressedBertError, match="--test"):
        find_test(source, None)
    write_nlu(MESSAGES, other / "test.yml")
    assert find_test(source, other) == find_test(source, other / "test.yml") == other / "test.yml"
    write_nlu(MESSAGES, source / "test.yml")
    assert find_test(source, other) == source / "test.yml"


def test_published_figures_are_found_by_the_name_of_the_data_set():
    assert published_for("sara2019") == []
    found = published_for("CLINC150_official")
    assert {"model": "CPFT", "shots": 5, "accuracy": 0.923} in found and len(found) == 8


def test_frozen_features_tell_words_apart(tiny_weights):
    examples = [Example(message.text, message.intent) for message in MESSAGES]
    config = PrunedBertIntentClassifierConfig.from_dict({"model_weights": str(tiny_weights)})
    scores = frozen_scores(examples, examples, config)
    assert set(scores) == {"accuracy", "macro_f1"} and scores["accuracy"] > 0.6


def content(drawn=()):
    accuracies = {rows.DEFAULT: [0.75, 0.77], "dense_fp32": [0.8, 0.8], few_shot.FROZEN: [0.79]}
    return {
        "test_messages": 100,
        "seeds": 2,
        "drawn": list(drawn),
        "command": "python -m something",
        "environment": environment(),
        "published": [{"model": "CPFT", "shots": shots, "accuracy": 0.9} for shots in (5, 10)],
        "results": [
            {
                "shots": shots,
                "model": model,
                "seed": seed,
                "training_messages": 8 * shots,
                "accuracy": value + shots / 100,
            }
            | {"macro_f1": value}
            for shots in (5, 20)
            for model, values in accuracies.items()
            for seed, value in enumerate(values, start=1)
        ],
    }


def test_results_as_markdown_and_plot(tmp_path):
    page = to_markdown("some data", content())
    assert "| model | 5-shot accuracy | 5-shot macro F1 | 20-shot accuracy | 20-shot macro F1 |" in page
    assert "| Pruned BERT (default) | 81.0 ± 1.4 % | 76.0 ± 1.4 % | 96.0 ± 1.4 % | 76.0 ± 1.4 % |" in page
    assert "| Frozen features + logistic regression | 84.0 % | 79.0 % | 99.0 % | 79.0 % |" in page
    assert "| CPFT, published | 90.0 % |  |  |  |" in page and "Few-Shot-Intent-Detection" in page
    assert "40 with 5 shots, 160 with 20 shots; 100 test messages" in page and "each seed draws" not in page
    assert "With 20 shots, each seed draws its own training messages." in to_markdown("some data", content(drawn=[20]))
    plot(content(), tmp_path / "plot.png", title="some data")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def run(monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["few_shot", *map(str, options)])
    return few_shot.main()


@pytest.mark.parametrize(
    "options", [["--rows", "keyword"], ["--rows", "60,pruned_60_int8"], ["--seeds", "0"], ["--shots", "0,5"]]
)
def test_options_that_make_no_sense_are_refused(monkeypatch, options):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--data", "x=y", *options)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "tiny").mkdir()
    write_nlu(MESSAGES, tmp_path / "tiny" / "train.yml")
    write_nlu(MESSAGES[:4], tmp_path / "tiny" / "train_2.yml")
    (tmp_path / "whole").mkdir()
    write_nlu(MESSAGES, tmp_path / "whole" / "test.yml")
    return tmp_path


def test_what_was_trained_before_an_interruption_is_kept(data, monkeypatch):
    done = []

    def train(row, config, training, test, *, folder):
        if len(done) == 2:
            done.append("stopped")
            raise KeyboardInterrupt
        done.append((row, training.stem, config["pipeline"][0]["random_seed"], len(test)))
        return {"accuracy": 0.5, "macro_f1": 0.4}

    monkeypatch.setattr(few_shot, "trained", train)
    options = ["--data", data / "tiny", "--test", data / "whole", "--shots", "2,3", "--seeds", 2, "--max-messages", 9]
    options += ["--rows", f"dense_fp32,{few_shot.FROZEN}", "--work", data / "work", "--results", data / "results"]
    assert run(monkeypatch, *options) == 130
    assert run(monkeypatch, *options) == 0
    done.remove("stopped")
    two = [("dense_fp32", "train_2", 1, 9), ("dense_fp32", "train_2", 2, 9), ("frozen", "train_2", 1, 9)]
    three = [(row, f"train_3_{seed}", seed, 9) for row in ("dense_fp32", "frozen") for seed in (1, 2)]
    assert done == [*two, *three]
    written = json.loads((data / "results" / "few_shot_tiny.json").read_text())
    assert [cell["training_messages"] for cell in written["results"]] == [4] * 3 + [6] * 4 and written["drawn"] == [3]
    page = (data / "results" / "few_shot_tiny.md").read_text(encoding="utf-8")
    assert page == to_markdown("few_shot_tiny", written) and "published" not in page
    assert (data / "results" / "few_shot_tiny.png").stat().st_size > 1000
    assert run(monkeypatch, *options) == 0 and len(done) == 7
    monkeypatch.setattr(few_shot, "model_code", lambda *, is_ours: "other code")
    assert run(monkeypatch, *options) == 0 and len(done) == 14


@pytest.mark.slow
def test_models_are_trained_and_scored(data, tiny_weights, monkeypatch):
    """Runs the whole script with tiny weights and every kind of row; a second run trains nothing."""
    row_config = rows.row_config

    def tiny(row, **epochs):
        config = row_config(row, **epochs)
        if rows.is_ours(row):
            config["pipeline"][0]["model_weights"] = str(tiny_weights)
        return config

    monkeypatch.setattr(rows, "row_config", tiny)
    options = ["--data", data / "tiny", "--test", data / "whole", "--shots", 6, "--seeds", 1, "--epochs", 2]
    options += ["--rows", f"{rows.DEFAULT},dense_fp32,{few_shot.FROZEN},joint_60", "--work", data / "work"]
    assert run(monkeypatch, *options, "--results", data) == 0
    written = json.loads((data / "few_shot_tiny.json").read_text())
    assert [cell["model"] for cell in written["results"]] == [
        *(rows.DEFAULT, "dense_fp32", few_shot.FROZEN, "joint_pruned_60_int8"),
    ]
    assert all(0 <= cell["macro_f1"] <= 1 and cell["training_messages"] == 12 for cell in written["results"])
    monkeypatch.setattr(few_shot, "trained", None)
    assert run(monkeypatch, *options, "--results", data) == 0
