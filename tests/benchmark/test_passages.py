"""The script `passages`: documents are joined from SQuAD's paragraphs, and answers are located in them."""

import json
import sys

import pytest

from benchmarks import passages
from rasa_compressed_bert.data.questions import Question

CAPITALS = {"France": "Paris", "Norway": "Oslo"}
PARAGRAPHS = [f"{city} is the capital of {country}. " * 15 for country, city in CAPITALS.items()]


def entry(number, text, paragraph, answer):
    answers = [{"text": answer, "answer_start": paragraph.index(answer)}] if answer else []
    return {"id": str(number), "question": text, "is_impossible": not answers, "answers": answers}


def test_documents_and_places():
    questions = [Question(str(n), "?", paragraph, (), "a") for n, paragraph in enumerate(PARAGRAPHS * 2)]
    (document,), places = passages.documents_of(questions)
    for paragraph in PARAGRAPHS:
        number, start = places["a", paragraph]
        assert number == 0 and document.text.startswith(paragraph, start)


def test_shares(tmp_path, monkeypatch, capsys):
    asked = [("What is the capital of France?", "Paris"), ("And of Norway?", "Oslo"), ("zzz", "Paris"), ("Who?", None)]
    paragraphs = [
        {"context": paragraph, "qas": [entry(f"{n}", text, paragraph, answer)]}
        for n, (text, answer) in enumerate(asked)
        for paragraph in PARAGRAPHS
        if answer is None or answer in paragraph
    ]
    path = tmp_path / "questions.json"
    path.write_text(json.dumps({"data": [{"title": "capitals", "paragraphs": paragraphs}]}))
    monkeypatch.setattr(sys, "argv", ["passages", "--questions", str(path), "--results", str(tmp_path)])
    assert passages.main() == 0
    content = json.loads((tmp_path / "passages.json").read_text())
    assert content["questions"] == 3 and content["passages"] == 2
    assert content["found"] == pytest.approx({"1": 2 / 3, "3": 2 / 3, "5": 2 / 3})
    assert "| the first one | 66.7 % |" in capsys.readouterr().out
