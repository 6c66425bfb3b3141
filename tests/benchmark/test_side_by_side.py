"""The script `side_by_side` without training and servers: results that it reuses, measures again and writes."""

import json
import sys

import pytest
from small_archives import NODE, small_artifact, write_archive

from benchmarks import side_by_side
from benchmarks.common import comparing
from benchmarks.common.datasets import write_nlu
from benchmarks.common.pages import to_markdown
from benchmarks.common.rows import ROWS, SHORT_ROWS
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError

FIGURES = {"accuracy": 0.9, "macro_f1": 0.8, "latency_p50_ms": 1.0, "archive_mb": 2.0}
NAMES = {"keyword": "keyword", "60": "pruned_60_int8", "dense_int8": "dense_int8"}


class Bench:
    """Runs the script with stubs in place of training and serving; counts their calls, and makes some of them fail."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.done, self.failures = folder, [], {}
        self._patch = monkeypatch
        monkeypatch.setattr(comparing, "train_row", self._train)
        monkeypatch.setattr(comparing, "compare_models", self._compare)
        monkeypatch.setattr(side_by_side, "throughput", self._ask)
        (folder / "data").mkdir()
        messages = [LabelledMessage(f"message {index}", f"intent{index % 3}") for index in range(12)]
        for name in ("train", "test"):
            write_nlu(messages, folder / "data" / f"{name}.yml")

    def run(self, rows="keyword,60,dense_int8", **more):
        """Runs the script; returns its exit status and the calls of the stubs."""
        self.done = []
        options = {"--data": f"tiny={self.folder / 'data'}", "--rows": rows, "--work": "work", "--results": "results"}
        options = {**options, **more}
        words = [word for name, value in options.items() for word in (name, str(value))]
        self._patch.chdir(self.folder)
        self._patch.setattr(sys, "argv", ["side_by_side", *words])
        return side_by_side.main(), self.done

    def result(self):
        return json.loads((self.folder / "results" / "tiny.json").read_text())

    def page(self):
        return (self.folder / "results" / "tiny.md").read_text()

    def _train(self, folder, config, nlu, *, reuse):
        if not (folder / "model.tar.gz").exists():
            self.done.append(f"train {folder.name}")
            folder.mkdir(parents=True, exist_ok=True)
            write_archive(folder / "model.tar.gz", {NODE: small_artifact()})
        return {"training_s": 1.0, "command": "rasa train nlu", "config": config, "made_by_other_code": False}

    def _compare(self, models, messages, **options):
        self.done.append("compare")
        return [{"model": name, **FIGURES} for name in models]

    def _ask(self, model, texts, *, seconds):
        row = model.parent.name
        self.done.append(f"ask {row}")
        if row in self.failures:
            raise self.failures[row]
        return {"answers_per_second_1": 100.0, "answers_per_second_2": 200.0, "http": {}}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


def test_a_run_writes_what_was_measured_and_the_next_one_measures_nothing(bench):
    trained = [f"train {row}" for row in NAMES]
    asked = [f"ask {row}" for row in NAMES]
    assert bench.run() == (0, [*trained, "compare", *asked])
    content = bench.result()
    assert [result["model"] for result in content["results"]] == list(NAMES.values())
    assert (content["data"], content["training_messages"], content["test_messages"]) == ("tiny", 12, 12)
    keyword, pruned, _ = content["results"]
    assert keyword["macro_f1"] is None and pruned["macro_f1"] == 0.8 and 0 < pruned["sparsity"] < 1
    assert pruned["answers_per_second_2"] == 200 and pruned["training_s"] == 1
    assert bench.page() == to_markdown("tiny", content) and "Pruned BERT (default) | 90.0 % | 80.0 %" in bench.page()
    assert (bench.folder / "results" / "tiny.png").stat().st_size > 1000
    assert bench.run() == (0, []) and bench.result() == content


def test_what_was_measured_before_an_interruption_is_kept(bench):
    bench.failures["60"] = KeyboardInterrupt()
    assert bench.run()[0] == 130
    assert not (bench.folder / "results").exists()
    bench.failures.clear()
    assert bench.run() == (0, ["ask 60", "ask dense_int8"])


def test_a_server_that_failed_is_named_and_asked_again(bench):
    model = bench.folder / "work" / "tiny" / "60" / "model.tar.gz"
    bench.failures["60"] = CompressedBertError(f"'{model}' did not come up:\n  Traceback of {bench.folder}")
    assert bench.run(**{"--work": bench.folder / "work"})[0] == 0
    assert "The server of pruned_60_int8 failed: 'model.tar.gz' did not come up:" in bench.page()
    assert str(bench.folder) not in json.dumps(bench.result()["failed"])
    bench.failures.clear()
    assert bench.run(**{"--work": bench.folder / "work"}) == (0, ["ask 60"])
    assert "failed" not in bench.page() and bench.result()["results"][1]["answers_per_second_1"] == 100


def test_other_messages_out_of_scope_are_measured_anew(bench):
    bench.run(**{"--http": 0})
    assert bench.run(**{"--http": 0}) == (0, [])
    write_nlu([LabelledMessage("what is love", "oos")], bench.folder / "data" / side_by_side.OUT_OF_SCOPE)
    assert bench.run(**{"--http": 0}) == (0, ["compare"])
    assert bench.run(**{"--http": 3}) == (0, ["ask keyword", "ask 60", "ask dense_int8"])


@pytest.mark.parametrize(
    "options, rows",
    [
        (["--short"], SHORT_ROWS),
        (["--data", "x=y", "--entities"], ROWS),
        (["--data", "x=y"], [row for row in ROWS if not row.startswith("joint_")]),
        (["--data", "x=y", "--rows", "joint_60"], ["joint_60"]),
    ],
)
def test_rows_unless_others_are_asked_for(monkeypatch, options, rows):
    monkeypatch.setattr(sys, "argv", ["side_by_side", *options])
    assert tuple(side_by_side._arguments().rows) == tuple(rows)


def test_an_unknown_row_is_refused(bench, capsys):
    with pytest.raises(SystemExit):
        bench.run(rows="keyword,diett")
    assert "unknown rows: diett" in capsys.readouterr().err
