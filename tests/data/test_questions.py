from collections import Counter

import pytest

from rasa_compressed_bert.data.questions import Question, unanswerable_questions

PASSAGES = [
    "Warsaw is the capital of Poland.",
    "The capital of culture changes each year.",
    "Harvard was founded in 1636.",
    "Old Warsaw burnt in 1944.",
]
CAPITAL = Question("1", "What is the capital of Poland?", PASSAGES[0], ((0, 6),), "Warsaw")
OTHERS = [Question(str(number), "Who?", passage, (), "Warsaw") for number, passage in enumerate(PASSAGES[1:], 2)]


def test_the_most_similar_passage_without_the_answer():
    (made,) = unanswerable_questions([CAPITAL, *OTHERS], 5, seed=0)
    assert made == Question("1-unanswerable", "What is the capital of Poland?", PASSAGES[1], (), "Warsaw")


def test_the_most_similar_of_many_passages():
    """A passage of a long document that only shares common words with the question would be too easy."""
    fillers = [Question(f"f{number}", "Who?", f"Article {number} is the rest.", (), "Warsaw") for number in range(200)]
    (made,) = unanswerable_questions([CAPITAL, *fillers, *OTHERS], 5, seed=0)
    assert made.passage == PASSAGES[1]


def test_a_line_break_within_the_answer_makes_no_other_answer():
    """The question would be learnt as unanswerable from a passage that answers it."""
    asked = Question("1", "Which city is large?", "New York is large.", ((0, 8),), "d")
    wrapped = Question("2", "Who?", "The city of New\nYork is a large one.", (), "d")
    assert unanswerable_questions([asked, wrapped], 5, seed=0) == []


def test_questions_of_other_documents_are_not_paired():
    other = Question("9", "Who?", PASSAGES[1], (), "Harvard")
    assert unanswerable_questions([CAPITAL, other], 5, seed=0) == []


def test_a_document_of_one_passage():
    assert unanswerable_questions([CAPITAL], 5, seed=0) == []


@pytest.mark.parametrize("count", [0, 1, 7])
def test_count_and_seed(count):
    documents = [
        Question(f"{n}", f"What about {n}?", f"This is {n} of {n % 3}.", ((8, 8 + len(str(n))),), "doc")
        for n in range(10, 30)
    ]
    first = unanswerable_questions(documents, count, seed=1)
    assert len(first) == count == len({question.id for question in first})
    assert first == unanswerable_questions(documents, count, seed=1)
    assert all(not made.answers and made.document == "doc" for made in first)
    assert all(made.text[11:-1] not in made.passage.split() for made in first)


def questions_of(document, answerable, unanswerable):
    names = [f"{document}{number}" for number in range(answerable + unanswerable)]
    return [
        Question(name, f"What of {name}?", f"Here is {name}.", ((8, 8 + len(name)),) * (place < answerable), document)
        for place, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    "count, expected", [(6, {"b": 3, "c": 3}), (12, {"b": 6, "c": 6}), (18, {"b": 8, "c": 8, "a": 2}), (99, None)]
)
def test_documents_with_few_unanswerable_questions_get_more_of_them(count, expected):
    """Of eight questions of `a` four have no answer; those of `b` and `c` all have one."""
    questions = [*questions_of("a", 4, 4), *questions_of("b", 8, 0), *questions_of("c", 8, 0)]
    made = Counter(question.document for question in unanswerable_questions(questions, count, seed=0))
    assert made == (expected or {"a": 4, "b": 8, "c": 8}), "each answerable question is used at most once"
