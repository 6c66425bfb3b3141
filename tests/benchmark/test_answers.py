"""The scripts `answers`: each row is trained once, and measured on other questions; and `answer_latency`."""

import json
import sys

import pytest
from answer_harness import write_questions

from benchmarks import answer_latency, answers
from rasa_compressed_bert.models.shape import EncoderShape, LayerShape


@pytest.mark.slow
def test_rows(tmp_path, monkeypatch, tiny_weights, capsys):
    train, test = write_questions(tmp_path / "a.json"), write_questions(tmp_path / "b.json", 20, seed=1)
    options = f"{{model_weights: {tiny_weights}, epochs: 1, max_length: 64}}"
    words = ["--train", train, "--test", test, "--options", options, "--rows", "dense", "pruned_int8"]
    folders = ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    seconds = set()
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["answers", *words, *folders])
        assert answers.main() == 0
        rows = json.loads((tmp_path / "answers.json").read_text())["rows"]
        assert set(rows) == {"dense", "pruned_int8"}
        assert rows["dense"]["archived_mb"] > rows["pruned_int8"]["archived_mb"]
        assert 0.0 <= rows["dense"]["test"]["exact"] <= rows["dense"]["test"]["f1"] <= 1.0
        assert rows["dense"]["milliseconds"] > 0
        seconds.add(rows["dense"]["training_s"])
    assert len(seconds) == 1, "the second time the model is read, and so is the time of its training"
    assert "| 60 % pruned, int8 |" in capsys.readouterr().out


def test_passages_of_so_many_words():
    from rasa_compressed_bert.data.questions import Question

    questions = [Question("1", "?", "one two three four"), Question("2", "?", "one two")]
    assert answers.passages_of(questions, 3) == ["one two three"]
    assert answers.passages_of(questions, 9) == ["one two three four", "one two"]


def test_latency_beside_bert_base(tmp_path, monkeypatch, capsys):
    """With tiny shapes; the random model reads the same passages in both libraries."""
    tiny = EncoderShape(30522, 16, 512, 8, 1e-12, "gelu", (LayerShape(2, 8, 8, 16),))
    monkeypatch.setattr(answer_latency, "minilm_shape", lambda: tiny)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    monkeypatch.setattr(answer_latency, "BERT_BASE", sizes)
    questions = write_questions(tmp_path / "a.json", 12)
    words = ["--questions", questions, "--rounds", "1", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["answer_latency", *words])
    assert answer_latency.main() == 0
    content = json.loads((tmp_path / "answer_latency.json").read_text())
    assert content["documents"] == 12 and len(content["passage_ms"]) == len(content["documents_ms"]) == 4
    assert all(value > 0 for figures in (content["passage_ms"], content["documents_ms"]) for value in figures.values())
    assert "| BERT-base, 32-bit, TensorFlow |  |" in capsys.readouterr().out
