import subprocess
import sys

import pytest

from rasa_compressed_bert.benchmark import comparison, report
from rasa_compressed_bert.benchmark.comparison import compare_models
from rasa_compressed_bert.benchmark.report import plot_comparison
from rasa_compressed_bert.benchmark.workers import WorkerProcess, worker_environment
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.reporting import tables

REPORT = {
    **{"load_s": 0.1, "import_s": 5.0, "memory_rasa_mb": 500.0, "memory_loaded_mb": 20.0},
    "extracts_entities": True,
}


OUTSIDE = "nobody asks this"


class FakeWorker:
    """Predicts the last word of a message as its intent, with a confidence of 0.8, or 0.1 for `OUTSIDE`."""

    order = []

    def __init__(self, archive, threads):
        self.name, self.report = archive.name, REPORT

    def parse(self, texts, pause=0.0):
        FakeWorker.order.append(self.name)
        count = len(texts)
        intents = [text.split()[-1] for text in texts]
        return {
            "intents": intents,
            "confidences": [0.1 if text == OUTSIDE else 0.8 for text in texts],
            "seconds": [0.001 + pause / 100] * count,
            "component_seconds": [0.0005] * count,
            "cpu_s": 0.001,
            "wall_s": 0.001,
            "memory_mb": 21.0,
        }

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture
def two_models(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "WorkerProcess", FakeWorker)
    FakeWorker.order = []
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"x" * 1000)
    return {name: tmp_path / name for name in ("one", "two")}


MESSAGES = [LabelledMessage(f"message {index} {intent}", intent) for index, intent in enumerate("abcabcabca")]


def test_models_take_turns_on_the_same_messages(two_models):
    results = compare_models(two_models, MESSAGES, rounds=3)
    assert FakeWorker.order == ["one", "two"] * 3
    assert [result["model"] for result in results] == ["one", "two"]
    assert all(result["messages"] == 10 and result["accuracy"] == 1.0 for result in results)
    assert results[0]["latency_p50_ms"] == pytest.approx(1.0)
    assert results[0]["archive_mb"] == pytest.approx(0.001)


def test_confidences_are_measured_with_messages_out_of_scope_and_without(two_models):
    (result, _) = compare_models(two_models, MESSAGES)
    assert result["calibration_error"] == pytest.approx(0.2) and "fallback_f1" not in result
    assert result["below_threshold"] == 0.0
    assert result["components_p50_ms"] == pytest.approx(0.5)
    (result, _) = compare_models(two_models, MESSAGES, out_of_scope=[OUTSIDE, "what about a"], rounds=2)
    assert FakeWorker.order[-6:] == ["one", "two"] * 3
    assert result["messages"] == 10 and result["out_of_scope_messages"] == 2
    assert result["out_of_scope_auroc"] == pytest.approx(0.75)
    assert result["fallback_f1"] == pytest.approx(2 / 3)
    (result, _) = compare_models(two_models, MESSAGES, out_of_scope=["this is out_of_scope", OUTSIDE])
    assert result["out_of_scope_auroc"] == result["fallback_f1"] == pytest.approx(1.0)  # predicted as out_of_scope
    assert result["best_fallback_f1"] >= result["fallback_f1"] and 0 <= result["best_fallback_threshold"] <= 1


def test_messages_with_a_pause_before_each_are_timed_again(two_models):
    results = compare_models(two_models, MESSAGES, rounds=2, pause=0.1)
    assert FakeWorker.order == ["one", "two"] * 3
    assert [(result["pause_s"], result["apart_p50_ms"]) for result in results] == [(0.1, pytest.approx(2.0))] * 2
    assert results[0]["latency_p50_ms"] == pytest.approx(1.0) and results[0]["messages"] == 10
    heading, row, _ = report.comparison_rows(results)
    assert row[heading.index("p50 ms, apart")] == "2.00" and "apart:" in report.legend(results)
    assert "apart:" not in report.legend(compare_models(two_models, MESSAGES))


def test_a_model_that_predicts_no_intents_has_no_scores_of_them(two_models, monkeypatch):
    """An extractor of entities alone; 0 % would look like a bad classifier."""

    class NoIntents(FakeWorker):
        def parse(self, texts, pause=0.0):
            found = super().parse(texts)
            nothing = {"intents": [None] * len(texts), "confidences": [0.0] * len(texts)}
            return {**found, **(nothing if self.name == "one" else {})}

    monkeypatch.setattr(comparison, "WorkerProcess", NoIntents)
    extractor, classifier = compare_models(two_models, MESSAGES, out_of_scope=[OUTSIDE])
    assert extractor["accuracy"] is extractor["macro_f1"] is extractor["below_threshold"] is None
    assert "out_of_scope_auroc" not in extractor and classifier["out_of_scope_auroc"] == classifier["accuracy"] == 1.0
    heading, row, _ = report.comparison_rows([extractor, classifier])
    assert [row[heading.index(name)] for name in ("accuracy", "macro F1", "ECE", "OOS AUROC")] == [""] * 4


def test_little_memory_means_one_after_the_other(two_models, monkeypatch):
    monkeypatch.setattr(comparison, "_MEMORY_PER_WORKER", 1e15)
    results = compare_models(two_models, MESSAGES, rounds=2)
    assert FakeWorker.order == ["one", "one", "two", "two"]
    assert [result["group"] for result in results] == [0, 1]
    for in_short in (False, True):
        heading, *rows = report.comparison_rows(results, in_short=in_short)
        assert [row[heading.index("group")] for row in rows] == ["1", "2"]
    assert "times of different groups cannot be compared" in report.legend(results)
    assert report.latency_label(results).endswith("in 2 groups")


def test_models_that_are_measured_at_once_have_no_groups(two_models):
    results = compare_models(two_models, MESSAGES, rounds=2)
    assert "group" not in report.comparison_rows(results)[0] and "groups" not in report.legend(results)
    assert report.latency_label(results) == "milliseconds a message (median)"


def test_more_rounds_than_messages(two_models):
    assert compare_models(two_models, MESSAGES[:2], rounds=5)[0]["messages"] == 2


CITY = EntitySpan(0, 4, "city")


class FakeExtractor(FakeWorker):
    """Extracts the first four characters of every message and, without a confidence, four others."""

    def parse(self, texts, pause=0.0):
        found = {"entities": [[[0, 4, "city", None, None], [5, 9, "city", None, None]] for _ in texts]}
        return {**super().parse(texts), **found, "entity_confidences": [[0.7, None] for _ in texts]}


def test_entities_are_scored_where_the_test_data_has_some(two_models, monkeypatch):
    monkeypatch.setattr(comparison, "WorkerProcess", FakeExtractor)
    without = compare_models(two_models, MESSAGES)
    assert all("entity_f1" not in result for result in without)
    messages = [message._replace(entities=(CITY,)) if message.intent == "a" else message for message in MESSAGES]
    results = compare_models(two_models, messages, rounds=3)
    assert [result["entity_f1"] for result in results] == [pytest.approx(2 * 4 / (4 + 20))] * 2
    assert [result["entity_calibration_error"] for result in results] == [pytest.approx(0.7 - 4 / 10)] * 2
    assert report.comparison_rows(results)[0][2:6] == ["macro F1", "entity F1", "ECE", "entity ECE"]


def test_no_extractor_is_no_score_and_one_that_finds_nothing_has_the_worst(two_models, monkeypatch):
    def parse(self, texts, pause=0.0):
        nothing = {name: [[] for _ in texts] for name in ("entities", "entity_confidences")}
        return {**FakeWorker.parse(self, texts), **nothing}

    monkeypatch.setattr(comparison, "WorkerProcess", type("Blind", (FakeWorker,), {"parse": parse}))
    messages = [message._replace(entities=(CITY,)) for message in MESSAGES]
    assert [result["entity_f1"] for result in compare_models(two_models, messages)] == [0.0, 0.0]
    monkeypatch.setitem(REPORT, "extracts_entities", False)
    assert [result["entity_f1"] for result in compare_models(two_models, messages)] == [None, None]


def test_a_worker_that_was_killed_while_it_waited_is_named(tmp_path, monkeypatch):
    answers = 'import sys; print("{}", flush=True); sys.stdin.readline(); print("{}", flush=True); sys.stdin.read()'
    process = subprocess.Popen

    def start(command, **options):
        return process([sys.executable, "-c", answers], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    with WorkerProcess(tmp_path / "model.tar.gz", threads=1) as worker:
        assert worker.parse(["hello"]) == {}
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(CompressedBertError, match=r"The worker of '.*model.tar.gz' ended \(exit status -9\)"):
            worker.parse(["hello"] * 100_000)


def test_a_worker_that_was_killed_while_it_answered_is_named(tmp_path, monkeypatch):
    half = "import os; print('{}', flush=True); input(); print('{\"intents\": [', end='', flush=True)"
    answers = f"{half}; os.kill(os.getpid(), 9)"
    process = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: process([sys.executable, "-c", answers], **options))
    with WorkerProcess(tmp_path / "model.tar.gz", threads=1) as worker:
        with pytest.raises(CompressedBertError, match=r"The worker of '.*model.tar.gz' ended \(exit status -9\)"):
            worker.parse(["hello"])


def test_tables_leave_out_what_no_model_has():
    results = [{"model": "a", "accuracy": 0.5}, {"model": "long name", "accuracy": 0.25, "training_s": 12.3}]
    rows = report.comparison_rows(results)
    assert rows == [["model", "accuracy", "training s"], ["a", "50.0 %", ""], ["long name", "25.0 %", "12"]]
    assert report.comparison_rows([{**result, "load_s": 1.0} for result in results], in_short=True) == rows
    assert tables.markdown_table(rows).splitlines()[1] == "|---|---:|---:|"


def test_seeds_of_a_model_are_one_point_with_a_spread():
    seeds = [{"macro_f1": 0.8, "archive_mb": 10.0}, {"macro_f1": 0.9, "archive_mb": 12.0}]
    point = report._point("ours", seeds, "archive_mb", look=("C0", "o"))
    assert (point.cost, point.score) == pytest.approx((11.0, 85.0)) and point.deviation == pytest.approx(7.0710678)
    assert report._point("ours", seeds[:1], "archive_mb", look=("C0", "o")).deviation == 0.0


def test_plot_without_a_score(tmp_path):
    plot_comparison([{"model": "a", "latency_p50_ms": 1.0, "archive_mb": 12.0, "macro_f1": None}], tmp_path / "a.png")
    assert (tmp_path / "a.png").is_file()


def test_plot_is_a_png(tmp_path):
    results = [{"model": "a", "latency_p50_ms": 1.0, "archive_mb": 12.0, "macro_f1": 0.5}]
    plot_comparison(results, tmp_path / "new" / "plot.png", title="test")
    assert (tmp_path / "new" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_threads_are_set_for_every_library():
    variables = worker_environment(3)
    assert {variables[name] for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")} == {"3"}


@pytest.mark.slow
def test_worker_reports_why_a_model_does_not_load(tmp_path):
    (tmp_path / "model.tar.gz").write_bytes(b"nothing")
    with pytest.raises(CompressedBertError, match="cannot be measured: ModelNotFound: .*can not be loaded"):
        WorkerProcess(tmp_path / "model.tar.gz", 1)
