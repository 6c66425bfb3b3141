"""Values of lookup tables in messages."""

import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data.entities import EntityLabel, TagScheme, TagSpan
from rasa_compressed_bert.data.words import normalised
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder
from rasa_compressed_bert.runtime.listed_values import MOST_WORDS, ListedValues
from rasa_compressed_bert.tokenization.pieces import Pieces

SCHEME = TagScheme((EntityLabel("city", "from"), EntityLabel("city", "to"), EntityLabel("dish")))


def found(text, **values):
    listed = ListedValues({kind: [normalised(value) for value in own] for kind, own in values.items()}, SCHEME)
    return sorted((text[start:end], kind) for start, end, kinds in listed.found(text) for kind in kinds)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("to New York, please", ["New York"]),
        ("NEW  york!", ["NEW  york"]),
        ("york is new", []),
        ("new yorkers", []),
        ("new", []),
        ("from İzmir to new york city", ["new york", "new york city", "İzmir"]),
        ("去北京吗", ["北京"]),
        ("", []),
    ],
)
def test_values_are_found_as_whole_words_in_any_case(text, expected):
    values = ["New York", "new york city", "İzmir", "北京"]
    assert found(text, city=values) == sorted((value, "city") for value in expected)


@pytest.mark.parametrize("value", ["C++", "U.S.", "Apple Inc.", "Yahoo!", "AT&T", "rock 'n' roll", "O'Brien", "☀️"])
@pytest.mark.parametrize("text", ["{}", "is it {}?", "{}, please", "({})", "“{}”!?", "'{}'", "-{}...", "it is {}."])
def test_punctuation_around_a_value_makes_no_difference(value, text):
    assert found(text.format(value), dish=[value]) == [(value, "dish")]


@pytest.mark.parametrize("text", ["Berlin's", "berlin-based", "Berlins", "Berlin_1", "ßBerlin"])
def test_a_part_of_a_word_is_no_value(text):
    assert found(text, city=["Berlin"]) == []


@pytest.mark.parametrize("value, form", [("Zürich", "NFD"), ("한국", "NFD"), ("Zu\u0308rich", "NFC")])
def test_both_encodings_of_an_accent_are_one_value(value, form):
    text = unicodedata.normalize(form, value)
    assert text != value and found(f"nach {text}", city=[value]) == [(text, "city")]


def test_types_that_are_not_of_the_model_cost_nothing():
    """An untrusted model could have very many."""
    assert found("a burger", dish=["burger"], **{f"type{index}": ["burger"] for index in range(9)}) == [
        ("burger", "dish")
    ]


def test_a_value_of_two_types():
    assert found("a burger", city=["Burger"], dish=["burger"]) == [("burger", "city"), ("burger", "dish")]


@given(
    st.text(max_size=30), st.text(alphabet="ab é中'🍕", min_size=1, max_size=8).filter(normalised), st.text(max_size=30)
)
def test_every_value_between_spaces_is_found(before, value, after):
    text = f"{before} {value} {after}"
    assert any(normalised(own) == normalised(value) for own, _ in found(text, dish=[value]))


def test_very_long_values_are_not_searched_for():
    words = ["a"] * MOST_WORDS
    assert found(" ".join(words), dish=[" ".join(words)]) and not found(" ".join([*words, "a"]), dish=["a " * 21])


def test_the_tags_of_all_roles_of_the_entity_are_raised():
    pieces = Pieces(np.arange(5), np.array([0, 3, 8]), np.array([2, 8, 10]), np.zeros(3, bool), False)
    raised = ListedValues({"city": ["paris"], "hotel": ["to"]}, SCHEME).raised("to Paris..", pieces, np.zeros((3, 13)))
    assert (raised[1, 1:9] == 3.0).all()
    assert raised.sum() == pytest.approx(24.0)  # the type `hotel` is not one of the model


def test_values_of_very_many_types_take_little_time():
    """An untrusted model could make a message of 500 words take 99 seconds and a gigabyte."""
    scheme = TagScheme(tuple(EntityLabel(f"type{number}") for number in range(1000)))
    values = [" ".join(["a"] * count) for count in range(1, MOST_WORDS + 1)]
    listed = ListedValues({label.entity: values for label in scheme.labels}, scheme)
    starts = 2 * np.arange(510)
    pieces = Pieces(np.zeros(512, int), starts, starts + 1, np.zeros(510, bool), False)
    begun = time.process_time()
    raised = listed.raised("a " * 510, pieces, np.zeros((510, scheme.num_tags), np.float32))
    assert time.process_time() - begun < 10.0  # takes 0.4 s
    assert (raised[:, 1:] == 3.0).all() and not raised[:, 0].any()


@pytest.mark.parametrize("listed, certain, expected", [(False, 1.0, 0), (True, 1.0, 1), (True, 5.0, 0)])
def test_a_listed_word_is_an_entity_unless_the_model_is_certain_that_it_is_none(listed, certain, expected):
    entities = {**SCHEME.to_dict(), "cuts": {}, "inside_words": True, "comma_separated": []}
    entities.update({"values": {"dish": ["poke"]}} if listed else {})
    pieces = Pieces(np.arange(3), np.array([2]), np.array([6]), np.zeros(1, bool), False)
    logits = np.zeros((1, SCHEME.num_tags))
    logits[0, 0] = certain  # outside
    logits[0, SCHEME.tags([TagSpan(0, 1, 2)], 1)[0]] = 0.5
    assert len(EntityDecoder(entities).decode("a Poke", pieces, logits)) == expected
