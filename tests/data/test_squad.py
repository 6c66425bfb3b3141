import json
import logging
import re

import pytest

from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.errors import DataError

PASSAGE = "Café 🌍 Warsaw is the capital of Poland."
START = PASSAGE.index("Warsaw")


def entry(number, text="What is the capital?", answers=((START, "Warsaw"),), **others):
    values = {"id": str(number), "question": text, "is_impossible": not answers}
    return {**values, "answers": [{"text": own, "answer_start": start} for start, own in answers], **others}


def write(folder, entries, *, context=PASSAGE, name="questions.json"):
    paragraph = {"qas": entries} if context is None else {"context": context, "qas": entries}
    path = folder / name
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "Warsaw", "paragraphs": [paragraph]}]}))
    return str(path)


def read(*paths):
    return read_questions(paths, option="training_data")


def test_answerable_and_unanswerable_questions(tmp_path, caplog):
    path = write(tmp_path, [entry(1), entry(2, "Who founded it?", ())])
    answerable, unanswerable = read(path)
    assert answerable == Question("1", "What is the capital?", PASSAGE, ((START, START + 6),), "Warsaw")
    assert answerable.answer_texts == ["Warsaw"]
    assert (unanswerable.answers, unanswerable.answer_texts) == ((), [])
    assert not caplog.records


def test_a_mark_at_the_beginning_of_a_file(tmp_path):
    path = tmp_path / "marked.json"
    path.write_text((tmp_path / write(tmp_path, [entry(1)])).read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert len(read(str(path))) == 1


def test_a_file_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, [entry(1)])
    assert len(read("~/questions.json")) == 1


def test_several_answers(tmp_path):
    (question,) = read(write(tmp_path, [entry(1, answers=[(START, "Warsaw"), (0, "Café 🌍 Warsaw")])]))
    assert question.answer_texts == ["Warsaw", "Café 🌍 Warsaw"]


def test_what_an_unanswerable_question_might_have_is_no_answer(tmp_path):
    (question,) = read(write(tmp_path, [entry(1, is_impossible=True)]))
    assert question.answers == ()


def test_a_file_of_the_first_version(tmp_path):
    """SQuAD 1.1 has no `is_impossible`."""
    with_answer, without = entry(1), entry(2, answers=())
    del with_answer["is_impossible"], without["is_impossible"]
    assert [question.answer_texts for question in read(write(tmp_path, [with_answer, without]))] == [["Warsaw"], []]


def test_a_position_may_have_a_decimal_point(tmp_path):
    assert read(write(tmp_path, [entry(1, answers=[(float(START), "Warsaw")])]))[0].answer_texts == ["Warsaw"]


@pytest.mark.parametrize("start", [START + 1, -1, 1000, None, "7", 7.5])
def test_a_misplaced_answer_is_left_out(tmp_path, caplog, start):
    caplog.set_level(logging.WARNING)
    path = write(tmp_path, [entry(1, answers=[(START, "Warsaw"), (start, "Warsaw")]), entry(2)])
    assert [question.answer_texts for question in read(path)] == [["Warsaw"], ["Warsaw"]]
    assert caplog.messages == [f"'{path}': 1 answer is left out, as the passage has another text at answer_start."]


def test_a_question_without_an_answer_in_its_place_is_left_out(tmp_path, caplog):
    """Otherwise the model would learn that the passage does not answer it."""
    caplog.set_level(logging.WARNING)
    path = write(tmp_path, [entry(1, answers=[(0, "Warsaw")]), entry(2)])
    assert [question.id for question in read(path)] == ["2"]
    assert "1 question is left out" in caplog.text and "at its answer_start ('1')" in caplog.text


@pytest.mark.parametrize(
    "faulty, reason",
    [
        (entry(1, text=" "), "without text"),
        (entry(1, text=None), "without text"),
        (entry(1, answers=(), is_impossible=False), "without an answer or is_impossible: true"),
        (entry(2), "with the id of an earlier question"),
    ],
)
def test_faulty_questions_are_left_out(tmp_path, caplog, faulty, reason):
    caplog.set_level(logging.WARNING)
    path = write(tmp_path, [entry(2), faulty])
    assert [question.id for question in read(path)] == ["2"]
    assert f"'{path}': 1 question is left out: 1 {reason}" in caplog.text


@pytest.mark.parametrize("context", [None, "", "  \n", 7])
def test_questions_without_a_passage(tmp_path, caplog, context):
    caplog.set_level(logging.WARNING)
    path = write(tmp_path, [entry(1), entry(2)], context=context)
    with pytest.raises(DataError, match="has no question that can be used"):
        read(path)
    assert "2 questions are left out" in caplog.text and "2 without a passage ('1', '2')" in caplog.text


def test_ids_of_several_files(tmp_path, caplog):
    one, other = write(tmp_path, [entry(1)]), write(tmp_path, [entry(1), entry(2)], name="other.json")
    assert [question.id for question in read(one, other)] == ["1", "2"]
    assert f"'{other}': 1 question is left out" in caplog.text


@pytest.mark.parametrize(
    "content, words",
    [
        (b"\xff\xfe", "cannot be read"),
        (b"not JSON", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "has no questions"),
        (b'{"data": 1}', "has no questions"),
        (b'{"data": [{"paragraphs": [{"context": "a", "qas": [1]}]}]}', "has no questions"),
        (b'{"data": []}', "has no question that can be used"),
    ],
)
def test_what_is_no_file_of_questions(tmp_path, content, words):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"training_data: '.*file.json' {words}") as caught:
        read(str(path))
    assert not re.search("(Type|Key|Attribute)Error", str(caught.value))


def test_a_file_that_is_not_there():
    with pytest.raises(DataError, match="training_data: 'nowhere.json' cannot be read"):
        read("nowhere.json")


@pytest.mark.parametrize("given", [{}, {"id": None}, {"id": ""}])
def test_questions_need_no_id(given, tmp_path, caplog):
    entries = [entry(number, f"What is number {number}?") for number in range(3)]
    for one in entries:
        del one["id"]
        one.update(given)
    assert [question.text[-2] for question in read(write(tmp_path, entries))] == ["0", "1", "2"]
    assert not caplog.records


@pytest.mark.parametrize("answers", [5, "Warsaw", {"text": "Warsaw", "answer_start": START}])
def test_answers_that_are_not_a_list(answers, tmp_path, caplog):
    path = write(tmp_path, [entry(1), {**entry(2), "answers": answers}])
    assert [question.id for question in read(path)] == ["1"]
    assert [record.message for record in caplog.records] == [
        f"'{path}': 1 question is left out: 1 whose answers are not a list ('2'). Correct the file."
    ]
