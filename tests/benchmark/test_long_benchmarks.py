"""Scripts that take minutes, run with small models and stubbed servers: results that they reuse, and failures."""

import contextlib
import json
import sys
from dataclasses import replace

import pytest
from small_archives import DENSE, NODE, small_artifact, write_archive

from benchmarks import bert_base_shape, growth, large_vocabulary, load, seeds, shapes
from benchmarks.common.commands import in_one_line
from benchmarks.common.datasets import write_nlu
from rasa_compressed_bert.artifact.archives import artifacts_of
from rasa_compressed_bert.benchmark.server import Load
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor


@pytest.fixture
def run(tmp_path, monkeypatch):
    def run(script, *options):
        monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, options), "--results", str(tmp_path / "results")])
        return script.main()

    return run


def test_growth_keeps_what_the_same_code_has_trained(run, tmp_path, monkeypatch):
    trained = []

    def train(work, examples, intents):
        trained.append((examples, intents))
        (work / f"{examples}_{intents}").mkdir(parents=True)
        write_archive(work / f"{examples}_{intents}" / "model.tar.gz", {NODE: small_artifact()})
        return {"examples": examples, "intents": intents, "training_s": examples / 10, **SIZES}

    monkeypatch.setattr(growth, "train", train)
    monkeypatch.setattr(growth, "CHARACTERS", (10, 1000))
    options = ("--most", 3000, "--work", tmp_path / "work")
    assert run(growth, *options) == 0 and trained == [(1000, 20), (3000, 20)]
    page = (tmp_path / "results" / "growth.md").read_text()
    assert "| 3,000 | 20 | 300 | 1.00 |" in page and "| 1,000 | " in page  # 1,000 characters
    assert run(growth, *options) == 0 and len(trained) == 2
    monkeypatch.setattr(growth, "model_code", lambda: "other code")
    assert run(growth, *options) == 2 and len(trained) == 2


def test_seeds_are_compared_with_the_dense_model_of_the_same_seed(run, tmp_path, monkeypatch):
    gone, done = {"dense_fp32": 0.0, "60": 0.02}, []

    def trained(row, seed, training, test):
        done.append((row, seed, len(training), len(test)))
        score = 0.9 - seed / 10 - gone[row] * seed
        return {"accuracy": score, "macro_f1": score - 0.1}

    monkeypatch.setattr(seeds, "trained", trained)
    (tmp_path / "data").mkdir()
    for name, count in {"train": 20, "test": 10}.items():
        messages = [LabelledMessage(f"message {index}", f"intent{index % 2}") for index in range(count)]
        write_nlu(messages, tmp_path / "data" / f"{name}.yml")
    options = ("--data", f"tiny={tmp_path / 'data'}", "--rows", "dense_fp32,60", "--work", tmp_path / "work")
    assert run(seeds, *options, "--seeds", 1) == 0 and done == [("dense_fp32", 1, 20, 10), ("60", 1, 20, 10)]
    page = (tmp_path / "results" / "seeds_tiny.md").read_text()
    assert "| Pruned BERT (default) | 78.0 % | -2.0 | 68.0 % | -2.0 |" in page, "one seed has no deviation"
    assert run(seeds, *options, "--seeds", 2) == 0 and done[2:] == [("dense_fp32", 2, 20, 10), ("60", 2, 20, 10)]
    page = (tmp_path / "results" / "seeds_tiny.md").read_text()
    assert "| Fine-tuned BERT, 32-bit | 75.0 ± 7.1 % |  | 65.0 ± 7.1 % |  |" in page
    assert "| Pruned BERT (default) | 72.0 ± 8.5 % | -3.0 ± 1.4 | 62.0 ± 8.5 % | -3.0 ± 1.4 |" in page
    assert (tmp_path / "results" / "seeds_tiny.png").stat().st_size > 1000
    with pytest.raises(SystemExit):
        run(seeds, *options, "--rows", "dense_fp32,diet")


SIZES = {"peak_memory_mb": 1000.0, "archive_mb": 10.0}


class Served:
    """A stub of a server with given errors, and with the given memory of one worker minute by minute."""

    def __init__(self, *memory, errors=()):
        self._memory, self._errors = iter(memory), list(errors)

    def load(self, texts, *, seconds, connections, right):
        assert right({"text": texts[0], "intent": {"name": "a"}})
        assert not right({"text": texts[0], "intent": {"name": "b"}}) and not right({"text": texts[0]})
        return Load(seconds, [1.0, 2.0], self._errors)

    def memory_mb(self):
        return {1: next(self._memory), 2: 300.0}


@pytest.mark.parametrize(
    "served, status, words",
    [
        (Served(290.0, 300.0, 301.0), 0, ""),
        (Served(290.0, 300.0, 330.0), 2, "memory has grown from 600 MB to 630 MB"),
        (Served(290.0, 300.0, 300.0, errors=["500 {}"]), 2, "3 errors; the first: 500 {}"),
    ],
    ids=["sound", "grows", "errors"],
)
def test_load_fails_where_answers_or_memory_do(run, tmp_path, monkeypatch, capsys, served, status, words):
    write_archive(tmp_path / "model.tar.gz", {NODE: small_artifact()})
    write_nlu([LabelledMessage("oh it is hot", "a")], tmp_path / "nlu.yml")
    monkeypatch.setattr(load, "serve", lambda model, workers: contextlib.nullcontext(served))
    monkeypatch.setattr(load, "quiet_rasa", lambda: None)  # it would discard the log captured so far
    monkeypatch.setattr(load, "_intents", lambda model, texts: dict.fromkeys(texts, "a"))
    assert run(load, tmp_path / "model.tar.gz", "--nlu", tmp_path / "nlu.yml", "--minutes", 2) == status
    assert words in capsys.readouterr().err
    content = json.loads((tmp_path / "results" / "load.json").read_text())
    assert content["whole"]["answers"] == 4 and len(content["minutes"]) == 3
    assert content["model"] == in_one_line(tmp_path / "model.tar.gz")
    assert "PrunedBertIntentClassifier0, 69% pruned, dynamic_int8 tiny" in content["model"]


@pytest.mark.slow
def test_shapes_are_measured(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shapes, "SHAPES", {"tiny": replace(DENSE, vocab_size=1100)})
    monkeypatch.setattr(shapes, "LENGTHS", (4, 8))
    monkeypatch.setattr(shapes, "SPARSITIES", (0.0, 0.5))
    monkeypatch.setattr(shapes, "plot", lambda results, path: None)
    assert run(shapes, "--rounds", 1) == 0
    results = json.loads((tmp_path / "results" / "shapes.json").read_text())["results"]
    assert [result["model"] for result in results] == ["fp32", "int8, 0%", "int8, 50%"]
    for result in results:
        assert set(result["p50_ms"]) == {"1/4", "1/8", "2/4", "2/8"} and all(result["p50_ms"].values())
        assert 0 < result["memory_mb"] < 200 and result["size_mb"] > 0


@pytest.mark.slow
def test_a_large_vocabulary_costs_what_a_trimmed_one_saves(run, tmp_path, monkeypatch):
    monkeypatch.setattr(large_vocabulary, "VOCABULARIES", {"whole": 60_000, "trimmed": 500})
    monkeypatch.setattr(
        large_vocabulary, "bert_base_shape", lambda *, vocab_size: replace(DENSE, vocab_size=vocab_size)
    )
    assert run(large_vocabulary) == 0
    whole, trimmed = json.loads((tmp_path / "results" / "large_vocabulary.json").read_text())["results"]
    assert (whole["wordpieces"], trimmed["wordpieces"]) == (60_000, 500)
    assert all(whole[name] > trimmed[name] > 0 for name in ("size_mb", "memory_mb"))
    assert all(result[name] > 0 for result in (whole, trimmed) for name in ("load_s", "p50_ms"))
    page = (tmp_path / "results" / "large_vocabulary.md").read_text()
    assert "| whole | 60,000 | " in page and "| trimmed | 500 | " in page


def test_words_of_a_vocabulary_differ():
    pieces = large_vocabulary.words(501_153)
    assert len(set(pieces)) == len(pieces) == 501_153


def test_a_random_model_in_the_place_of_a_trained_one_has_views_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(bert_base_shape, "bert_base_shape", lambda **_: DENSE)
    monkeypatch.setattr(bert_base_shape, "evenly_pruned", lambda shape, sparsity: shape)
    archive = write_archive(tmp_path / "trained.tar.gz", {NODE: small_artifact()})
    texts = {"oh it is hot": "a", "it is hot": "a", "it is cold": "b", "oh cold": "b", "oh oh": "c", "is it": "c"}
    messages = [LabelledMessage(text, intent) for text, intent in texts.items()]
    bert_base_shape.replace_encoder(archive, tmp_path / "swapped.tar.gz", messages)
    (swapped,) = artifacts_of(tmp_path / "swapped.tar.gz").values()
    assert set(swapped.manifest["views"]["weights"]) == {"classifier", "neighbours", "characters"}
    assert {name for name, _ in MessagePredictor(swapped).predict("oh it is hot").ranking} == {"a", "b", "c"}
