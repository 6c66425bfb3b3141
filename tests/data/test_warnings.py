"""Warnings of training data: each counts the affected messages and names the first ones."""

import pytest

from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.warnings import (
    warn_of_annotations_for_others,
    warn_of_contradictions,
    warn_of_faulty_annotations,
    warn_of_long_messages,
    warn_of_lost_entities,
    warn_of_vocabulary,
)

UNKNOWN = 1


def examples_of(*pairs):
    return [Example(text, intent) for text, intent in pairs]


def said(caplog):
    """The only warning."""
    (record,) = caplog.records
    return record.getMessage()


def test_messages_with_several_intents_are_named(caplog):
    warn_of_contradictions(
        examples_of(("hello you", "weather"), ("rain", "weather"), ("Hello  you ", "goodbye"), ("hello you", None))
    )
    assert said(caplog).startswith("1 message has several intents")
    assert "'hello you' (goodbye, weather)" in said(caplog)


def test_messages_with_unknown_wordpieces_are_counted(caplog):
    examples = examples_of(*((f"text {number}", "a") for number in range(9)))
    wordpieces = [[2, UNKNOWN + (number >= 5), number + 9, 3] for number in range(9)]
    warn_of_vocabulary(examples, wordpieces, unknown=UNKNOWN, option="teacher.model_weights")
    assert (
        "does not fit all of the 9 messages: 5 have words that it does not know: 'text 0'; 'text 1'; 'text 2' ...."
        in (said(caplog))
    )
    assert "set teacher.model_weights to multilingual-e5-small, or to a BERT for that language" in said(caplog)


def test_multilingual_weights_are_not_advised_to_those_who_have_them(caplog):
    options = {"unknown": UNKNOWN, "option": "model_weights", "weights": "multilingual-e5-small"}
    warn_of_vocabulary(examples_of(("\U00010330", "a")), [[2, UNKNOWN, 3]], **options)
    assert "set model_weights to a BERT for that language" in said(caplog)


def test_messages_with_equal_wordpieces_are_named_with_their_intents(caplog):
    examples = examples_of(("ma", "a"), ("má", "b"), ("ma", "a"), ("rain", "c"), ("m\u00e3", None))
    warn_of_vocabulary(examples, [[2, 7, 3], [2, 7, 3], [2, 7, 3], [2, 8, 3], [2, 7, 3]], unknown=None, option="x")
    assert "3 have the same wordpieces as a message of another intent" in said(caplog)
    assert "'ma' (a); 'má' (b). If" in said(caplog)


def test_responses_with_equal_wordpieces_are_named(caplog):
    up, down = (Example(text, "faq", response=f"faq/{text}") for text in ("👍", "👎"))
    warn_of_vocabulary([up, down, up], [[2, 7, 3]] * 3, unknown=None, option="x")
    assert "3 have the same wordpieces as a message of another intent" in said(caplog)
    assert "'👍' (faq/👍); '👎' (faq/👎). If" in said(caplog)


@pytest.mark.parametrize(
    "examples",
    [
        examples_of(("ma", "a"), ("má", "a")),  # one intent
        examples_of(("ma ma", "a"), ("Ma  ma ", "b")),  # the same text, which another warning calls a contradiction
        examples_of(("ma", "a"), ("má", None)),
    ],
)
def test_what_does_no_harm_is_not_mentioned(examples, caplog):
    warn_of_vocabulary(examples, [[2, 7, 3]] * 2, unknown=UNKNOWN, option="x")
    assert not caplog.records


def test_messages_that_are_cut_off_are_counted(caplog):
    warn_of_long_messages([False, True, False], 16)
    assert said(caplog).startswith("1 of 3 messages is longer than max_length: 16 wordpieces")
    caplog.clear()
    warn_of_long_messages([False, True, False, True], 16)
    assert said(caplog).startswith("2 of 4 messages are longer than max_length: 16 wordpieces")
    caplog.clear()
    warn_of_long_messages([False, False], 16)
    assert not caplog.records


def test_what_is_not_printed_is_shown_as_an_escape(caplog):
    warn_of_contradictions(examples_of(("a\r\n\x1b[2J\u200b\ud83d é", "x"), ("a\r\n\x1b[2J\u200b\ud83d é", "y")))
    assert r"'a\r\n\x1b[2J\u200b\ud83d é' (x, y)" in said(caplog)


@pytest.mark.parametrize(
    "warn, beginnings",
    [
        (
            lambda count: warn_of_faulty_annotations(["'hello': it is empty"] * count, component="X"),
            ("X leaves out 1 annotation that", "X leaves out 2 annotations that"),
        ),
        (
            lambda count: warn_of_annotations_for_others({"Other": count}, component="X"),
            ("X does not learn 1 annotation that names", "X does not learn 2 annotations that name"),
        ),
        (
            lambda count: warn_of_lost_entities([("pizza", "dish")] * count),
            ("1 annotated entity is not", "2 annotated entities are not"),
        ),
    ],
)
def test_one_is_singular(warn, beginnings, caplog):
    for count in (1, 2):
        warn(count)
    assert [record.getMessage().startswith(text) for record, text in zip(caplog.records, beginnings)] == [True, True]
