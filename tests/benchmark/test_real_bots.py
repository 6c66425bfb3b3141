"""The script `real_bots`: HINT3's data, the decisions of Rasa's FallbackClassifier, figures, tables and a whole run."""

import json
import sys
from itertools import product

import pytest
from rasa.nlu.classifiers.fallback_classifier import FallbackClassifier
from rasa.shared.nlu.training_data.message import Message

from benchmarks import real_bots
from benchmarks.common import rows
from benchmarks.common.bot_pages import all_series, plot, to_markdown
from benchmarks.common.datasets import write_nlu
from benchmarks.common.decisions import THRESHOLDS, decided, figures, scores
from benchmarks.common.hint3 import OUT_OF_SCOPE, read_bot
from benchmarks.common.scores import mean_and_deviation
from benchmarks.common.served import answer_of
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError, DataError
from rasa_compressed_bert.reporting.environment import environment

PUBLISHED = """platform,train,threshold,accuracy,weighted_f1,inscope_accuracy,oos_recall,mcc
rasa,full,0.1000,0.4,0.4,0.7,0.0,0.43
rasa,full,0.3000,0.5,0.5,0.6,0.1,0.45
rasa,subset,0.1000,0.1,0.1,0.1,0.1,0.1
luis,full,0.1000,0.6,0.6,0.5,0.7,0.58
luis,full,0.3000,0.7,0.7,0.5,0.9,0.56
"""
TEXTS = {"weather": ["is it hot today", "rain tomorrow"], "food": ["a spicy pizza please", "order curry"]}
TRAINING = [LabelledMessage(text, intent) for intent, texts in TEXTS.items() for text in texts]
TEST = [*TRAINING, LabelledMessage("call my bank", OUT_OF_SCOPE), LabelledMessage("stop, please", OUT_OF_SCOPE)]


def write_bot(folder, *, published=True, csv=True):
    folder.mkdir()
    write_nlu(TRAINING, folder / "train.yml")
    if csv:
        lines = [f'"{message.text}",{message.intent}' for message in (*TEST, TEST[-1])]
        (folder / "test_all.csv").write_text("\n".join(["sentence,label", *lines]), encoding="utf-8")
    else:
        write_nlu(TEST[:4], folder / "test.yml")
        write_nlu([message._replace(intent="oos") for message in TEST[4:]], folder / "oos_test.yml")
    if published:
        (folder / "PUBLISHED.csv").write_text(PUBLISHED, encoding="utf-8")
    return folder


def answer(intent, confidence, *others):
    """A classifier's prediction, with the confidences of the other intents."""
    ranking = [[intent, confidence], *([f"other{index}", value] for index, value in enumerate(others))]
    return {"intent": intent, "confidence": confidence, "ranking": ranking if intent else []}


def test_files_of_hint3_are_read_with_repeated_messages(tmp_path):
    bot = read_bot(write_bot(tmp_path / "bot"))
    assert bot.training == TRAINING and bot.test == [*TEST, TEST[-1]]
    assert [item["platform"] for item in bot.published] == ["luis", "rasa"]
    luis, rasa = (item["thresholds"] for item in bot.published)
    assert [entry["mcc"] for entry in luis] == [0.58, 0.56]
    assert rasa[1] == {"threshold": 0.3, "accuracy": 0.5, "inscope_accuracy": 0.6, "oos_recall": 0.1, "mcc": 0.45}


def test_other_data_sets_need_neither_csv(tmp_path):
    bot = read_bot(write_bot(tmp_path / "bot", published=False, csv=False))
    assert bot.test == TEST and bot.published == []


def test_a_sample_has_messages_in_scope_and_out_of_scope_and_nothing_published(tmp_path):
    bot = read_bot(write_bot(tmp_path / "bot"), 3)
    assert len(bot.test) == 3 and {message.intent for message in bot.test} == {"weather", "food", OUT_OF_SCOPE}
    assert bot.published == []


def test_data_that_cannot_be_measured_are_refused(tmp_path):
    folder = write_bot(tmp_path / "bot", csv=False)
    (folder / "PUBLISHED.csv").write_text("platform,train\n", encoding="utf-8")
    with pytest.raises(DataError, match="PUBLISHED.csv' has no column threshold and no column accuracy"):
        read_bot(folder)
    (folder / "PUBLISHED.csv").write_text(PUBLISHED.replace("0.43", "none"), encoding="utf-8")
    with pytest.raises(DataError, match="not a number"):
        read_bot(folder)
    (folder / "oos_test.yml").unlink()
    with pytest.raises(CompressedBertError, match="oos_test.yml"):
        read_bot(folder)
    (folder / "test_all.csv").write_text("sentence,label\nrain,weather\n", encoding="utf-8")
    with pytest.raises(DataError, match="both in scope and out of scope"):
        read_bot(folder)


def test_decisions_are_those_of_rasas_fallback_classifier():
    """Rasa's component gets one message at a time, as from its graph, and has its default ambiguity threshold."""
    pairs = [(top, second) for top, second in product([0.0, 0.05, 0.1, 0.25, 0.3, 0.31, 0.5, 0.9, 1.0], repeat=2)]
    answers = [answer("a", top, second) for top, second in pairs if second <= top] + [
        answer("a", 0.4),
        answer(None, 0.0),
    ]
    for threshold in THRESHOLDS:
        component = FallbackClassifier.create({"threshold": threshold, "ambiguity_threshold": 0.1}, None, None, None)
        for said, decision in zip(answers, decided(answers, threshold)):
            intent = {"name": said["intent"], "confidence": said["confidence"]}
            ranking = [{"name": name, "confidence": value} for name, value in said["ranking"]]
            (message,) = component.process([Message({"intent": intent, "intent_ranking": ranking})])
            falls_back = message.get("intent")["name"] == "nlu_fallback"
            assert decision == (OUT_OF_SCOPE if falls_back else "a")


@pytest.mark.parametrize(
    "confidences, threshold, decision",
    [((0.3, 0.1), 0.3, "a"), ((0.29, 0.1), 0.3, OUT_OF_SCOPE), ((0.5, 0.45), 0.3, OUT_OF_SCOPE), ((0.5,), 0.3, "a")],
    ids=["at the threshold", "below", "ambiguous", "one intent"],
)
def test_a_message_falls_back_below_the_threshold_or_where_two_intents_are_close(confidences, threshold, decision):
    assert decided([answer("a", *confidences)], threshold) == [decision]


def test_figures_are_those_of_a_worked_example():
    """MCC = (c s - sum_k p_k t_k) / sqrt((s^2 - sum_k p_k^2) (s^2 - sum_k t_k^2)).

    c = 4 of s = 8 messages are right. Of a, b and out of scope t = 3, 2, 3 are expected and p = 4, 2, 2 are decided:
    MCC = (32 - 22) / sqrt((64 - 24) (64 - 22)).
    """
    expected = ["a", "a", "a", "b", "b", *[OUT_OF_SCOPE] * 3]
    decisions = ["a", "a", "b", "b", OUT_OF_SCOPE, OUT_OF_SCOPE, "a", "a"]
    assert figures(expected, decisions) == {
        "accuracy": pytest.approx(4 / 8),
        "inscope_accuracy": pytest.approx(3 / 5),
        "oos_recall": pytest.approx(1 / 3),
        "mcc": pytest.approx(10 / (40 * 42) ** 0.5),
    }


def test_scores_of_answers():
    """Confidences: in scope 0.9 (right), 0.6 (wrong) and 0.2 (right), out of scope 0.4 and 0.95."""
    expected = ["a", "b", "a", OUT_OF_SCOPE, OUT_OF_SCOPE]
    answers = [answer(*pair) for pair in (("a", 0.9), ("a", 0.6), ("a", 0.2), ("b", 0.4), ("b", 0.95))]
    found = scores(expected, answers)
    assert found["out_of_scope_auroc"] == pytest.approx(2 / 6)
    assert found["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.8) / 3)
    assert found["below_threshold"] == pytest.approx(1 / 3)
    by_threshold = {entry["threshold"]: entry for entry in found["thresholds"]}
    assert list(by_threshold) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert by_threshold[0.2]["inscope_accuracy"] == pytest.approx(2 / 3) and by_threshold[0.2]["oos_recall"] == 0.0
    assert by_threshold[0.5]["inscope_accuracy"] == pytest.approx(1 / 3) and by_threshold[0.5]["oos_recall"] == 0.5


def test_a_fallback_in_the_pipeline_is_undone():
    fallback, a, b = (
        {"name": name, "confidence": value} for name, value in (("nlu_fallback", 0.3), ("a", 0.2), ("b", 0.1))
    )
    whole = answer_of({"intent": fallback, "intent_ranking": [fallback, a, b]})
    assert whole == {"intent": "a", "confidence": 0.2, "ranking": [["a", 0.2], ["b", 0.1]]}
    nothing = {"intent": None, "confidence": 0.0, "ranking": []}
    assert answer_of({"intent": fallback, "intent_ranking": [fallback]}) == nothing
    assert answer_of({"intent": {"name": None, "confidence": None}, "intent_ranking": []}) == answer_of({}) == nothing


def test_every_classifier_gets_the_seed():
    for row in (rows.DEFAULT, "60", "dense_fp32", "distilled_bilstm", "joint_60", "diet", "lmf_diet"):
        config = rows.row_config(row)
        seeded = [item for item in rows.seeded(config, 7)["pipeline"] if item.get("random_seed") == 7]
        assert len(seeded) == 1 and not any("random_seed" in item for item in config["pipeline"])
    assert rows.seeded(rows.row_config("quantized_logistic"), 7)["pipeline"][-1]["random_state"] == 7


def test_the_default_row_has_no_option():
    assert rows.row_config(rows.DEFAULT)["pipeline"] == [{"name": rows.OURS}]
    assert rows.row_config(rows.DEFAULT, epochs=2)["pipeline"] == [{"name": rows.OURS, "epochs": 2}]


def test_deviation_is_that_of_a_sample():
    assert mean_and_deviation([0.5, 0.6, 0.7]) == "60.0 ± 10.0" and mean_and_deviation([0.5], unit=" %") == "50.0 %"
    assert mean_and_deviation([0.25, 0.35], digits=3, scale=1.0) == "0.300 ± 0.071"
    assert mean_and_deviation([0.6375], digits=3, scale=1.0) == "0.638"


def content(seeds=2):
    def cell(model, seed, mccs):
        entries = [
            {
                "threshold": threshold,
                "accuracy": 0.5,
                "inscope_accuracy": 0.8 - threshold,
                "oos_recall": threshold,
                "mcc": mcc,
            }
            for threshold, mcc in mccs.items()
        ]
        others = {"out_of_scope_auroc": 0.8 + seed / 100, "calibration_error": 0.05, "below_threshold": 0.01}
        costs = {"latency_p50_ms": 0.7, "archive_mb": 12.5, "training_s": 30.0 + seed, "pipeline": []}
        return {"model": model, "seed": seed, "thresholds": entries, **others, **costs}

    figures = {"threshold": 0.3, "accuracy": 0.6, "inscope_accuracy": 0.7, "oos_recall": 0.5, "mcc": 0.616}
    return {
        "training_messages": 20,
        "in_scope_messages": 4,
        "out_of_scope_messages": 3,
        "seeds": seeds,
        "command": "python -m something",
        "environment": environment(),
        "published": [{"platform": "dialogflow", "thresholds": [figures, {**figures, "threshold": 0.4, "mcc": 0.6}]}],
        "results": [
            cell(model, seed, {0.3: 0.40 + seed / 50 + more, 0.5: 0.5 + seed / 10})
            for model, more in {rows.DEFAULT: 0.0, "diet": 0.3}.items()
            for seed in range(1, seeds + 1)
        ],
    }


def test_results_as_markdown_and_plot(tmp_path):
    page = to_markdown("some bot", content())
    assert "4 test messages in scope and\n3 out of scope. Mean and sample standard deviation of 2 seeds." in page
    ours = "| Pruned BERT (default) | 0.430 ± 0.014 | 50.0 ± 0.0 % | 30.0 ± 0.0 % | 0.5 | 0.650 ± 0.071 |"
    assert ours in page and "| Rasa's default (DIET) | 0.730 ± 0.014 | 50.0 ± 0.0 % | 30.0 ± 0.0 % | 0.3 |" in page
    assert "| Dialogflow, published | 0.616 | 70.0 % | 50.0 % | 0.3 | 0.616 | 70.0 % | 50.0 % |" in page
    assert "| MCC | 0.3 | 0.4 | 0.5 |" in page and "| Dialogflow, published | 0.616 | 0.600 |  |" in page
    assert "| Pruned BERT (default) | 0.430 ± 0.014 |  | 0.650 ± 0.071 |" in page
    assert (
        "| Pruned BERT (default) | 81.5 ± 0.7 % | 5.0 ± 0.0 % | 1.0 ± 0.0 % | 0.70 ± 0.00 | 12.5 ± 0.0 | 32 ± 1 |"
        in page
    )
    plot(content(), tmp_path / "plot.png", title="some bot")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_one_seed_and_nothing_published():
    alone = {**content(seeds=1), "published": []}
    page = to_markdown("some bot", alone)
    assert "published" not in page and " One seed. " in page
    assert "| Pruned BERT (default) | 0.420 | 50.0 % | 30.0 % | 0.5 | 0.600 |" in page
    assert [series.is_published for series in all_series(alone)] == [False, False]


def run(monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["real_bots", *map(str, options)])
    return real_bots.main()


@pytest.mark.parametrize(
    "options", [["--rows", "keyword"], ["--rows", "60,pruned_60_int8"], ["--rows", "diett"], ["--seeds", "0"]]
)
def test_rows_and_seeds_that_make_no_sense_are_refused(monkeypatch, options):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--data", "x=y", *options)


def test_what_was_measured_before_an_interruption_is_kept(tmp_path, monkeypatch):
    done, stopped = [], ["diet_1"]

    def train(folder, config, nlu):
        if folder.name in stopped:
            raise KeyboardInterrupt
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.tar.gz").write_bytes(folder.name.encode())
        return {"training_s": 9.0}

    def parse(archive, texts):
        done.append(archive.parent.name)
        return {"answers": [answer("weather", 0.8, 0.1)] * len(texts), "seconds": [0.001] * len(texts)}

    monkeypatch.setattr(real_bots, "train_row", train)
    monkeypatch.setattr(real_bots, "served", parse)
    data = write_bot(tmp_path / "bot")
    options = ["--data", data, "--rows", f"{rows.DEFAULT},diet", "--seeds", 2]
    options += ["--work", tmp_path / "work", "--results", tmp_path / "results"]
    assert run(monkeypatch, *options) == 130 and done == ["pruned_60_int8_1"]
    stopped.clear()
    assert run(monkeypatch, *options) == 0
    assert done == ["pruned_60_int8_1", "diet_1", "pruned_60_int8_2", "diet_2"]
    written = json.loads((tmp_path / "results" / "real_bots_bot.json").read_text())
    assert [(cell["model"], cell["seed"]) for cell in written["results"]] == list(
        product([rows.DEFAULT, "diet"], [1, 2])
    )
    assert (written["in_scope_messages"], written["out_of_scope_messages"]) == (4, 3)
    assert written["results"][0]["thresholds"][0]["inscope_accuracy"] == 0.5
    assert str(tmp_path) not in json.dumps(written)
    page = (tmp_path / "results" / "real_bots_bot.md").read_text(encoding="utf-8")
    assert page == to_markdown("real_bots_bot", written) and "LUIS, published" in page
    assert (tmp_path / "results" / "real_bots_bot.png").stat().st_size > 1000
    assert run(monkeypatch, *options, "--fresh") == 0 and len(done) == 8


@pytest.mark.slow
def test_models_are_trained_and_served_by_rasa(tiny_weights, tmp_path, monkeypatch):
    """Runs the whole script with tiny weights and one epoch of DIET; a second run trains and measures nothing."""
    row_config = rows.row_config

    def tiny(row, **epochs):
        config = row_config(row, **epochs)
        if rows.is_ours(row):
            config["pipeline"][0]["model_weights"] = str(tiny_weights)
        return config

    monkeypatch.setattr(rows, "row_config", tiny)
    data = write_bot(tmp_path / "bot", published=False)
    write_nlu(
        [message._replace(text=f"{message.text} {more}") for message in TRAINING for more in "abcde"],
        data / "train.yml",
    )
    options = ["--data", data, "--rows", f"{rows.DEFAULT},diet", "--seeds", 1, "--epochs", 1, "--diet-epochs", 1]
    options += ["--work", tmp_path / "work", "--results", tmp_path]
    assert run(monkeypatch, *options) == 0
    written = json.loads((tmp_path / "real_bots_bot.json").read_text())
    assert [cell["model"] for cell in written["results"]] == [rows.DEFAULT, "diet"]
    for cell in written["results"]:
        assert len(cell["thresholds"]) == 9 and cell["latency_p50_ms"] > 0 and cell["archive_mb"] > 0
    monkeypatch.setattr(real_bots, "served", None)
    assert run(monkeypatch, *options) == 0
