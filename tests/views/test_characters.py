"""The character view against a slow reference, and its stored form."""

import time
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.training.view_fitting import fit_characters
from rasa_compressed_bert.views.characters import LONGEST_TEXT, CharacterView, hashed_ngrams, weighted
from rasa_compressed_bert.views.view import Reading

TEXTS = ["book a table", "a table for two", "play some music", "stop the music", "what is the weather", "will it rain"]
CLASSES = np.array([0, 0, 1, 1, 2, 2])


def ngrams(text):
    """All n-grams of 2 to 4 characters of the words, each padded with blanks."""
    seen = "".join(character for character in text[:LONGEST_TEXT] if character.isprintable() or character.isspace())
    words = [f" {word} " for word in unicodedata.normalize("NFC", seen).lower().split()]
    return Counter(
        word[start : start + size] for word in words for size in (2, 3, 4) for start in range(len(word) - size + 1)
    )


def read(text):
    return Reading(text, np.zeros(3), None)


@given(st.text(max_size=60))
def test_as_many_ngrams_as_there_are(text):
    places, counts = hashed_ngrams(text)
    assert counts.sum() == sum(ngrams(text).values())
    assert len(places) <= len(ngrams(text))  # two n-grams may have the same hash
    assert np.all(np.diff(places) > 0)


def test_equal_ngrams_have_one_place_wherever_they_are():
    one, other = (set(hashed_ngrams(text)[0].tolist()) for text in ("cat", "a Cat sat"))
    assert one <= other


@pytest.mark.parametrize("text", ["Geld nach Köln überweisen", "tiếng Việt", "الآن", "がぎぐ", "한국어"])
def test_composed_and_decomposed_characters_have_the_same_ngrams(text):
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert composed != decomposed
    for one, other in zip(hashed_ngrams(composed), hashed_ngrams(decomposed)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "😀", "你好", "\ud800"])
def test_odd_texts_have_evidence(text):
    evidence = fit_characters(TEXTS, CLASSES, 3, seed=0).evidence(read(text))
    assert evidence.probabilities.sum() == pytest.approx(1.0)
    assert np.isfinite(evidence.familiarity).all()


def test_a_training_message_is_familiar_and_nonsense_is_not():
    view = fit_characters(TEXTS, CLASSES, 3, seed=0)
    for text, label in zip(TEXTS, CLASSES):
        evidence = view.evidence(read(text))
        assert evidence.probabilities.argmax() == label
        assert evidence.familiarity[label] > 0.55
    assert view.evidence(read("xqzj vvk")).familiarity.max() < 0.3


def test_the_nearest_message_is_that_of_a_slow_search():
    view = fit_characters(TEXTS, CLASSES, 3, seed=0)
    rows = [dict(zip(*map(np.ndarray.tolist, weighted(text, view._frequency)))) for text in TEXTS]
    places, weights = weighted("table music", view._frequency)
    cosines = [sum(row.get(place, 0.0) * weight for place, weight in zip(places.tolist(), weights)) for row in rows]
    expected = [max(cosines[index] for index in np.flatnonzero(CLASSES == label)) for label in range(3)]
    assert view._messages.nearest(places, weights, [0, 1, 2]) == pytest.approx(expected, abs=1e-6)


def test_stored_and_read_again_it_gives_nearly_the_same():
    view = fit_characters(TEXTS, CLASSES, 3, seed=0)
    again = CharacterView.from_tensors(view.tensors(), 3)
    for text in [*TEXTS, "a rainy table", "nothing"]:
        one, other = view.evidence(read(text)), again.evidence(read(text))
        assert other.probabilities == pytest.approx(one.probabilities, abs=0.02)
        assert other.familiarity == pytest.approx(one.familiarity, abs=0.02)


def test_a_million_characters_take_no_longer_than_a_thousand():
    view = fit_characters(TEXTS, CLASSES, 3, seed=0)
    start = time.process_time()
    view.evidence(read("the weather " * 90_000))
    assert time.process_time() - start < 0.5


def test_control_characters_change_nothing():
    view = fit_characters(TEXTS, CLASSES, 3, seed=0)
    one, other = view.evidence(read("book a table")), view.evidence(read("bo\x00ok a\u200b table"))
    assert one.familiarity == pytest.approx(other.familiarity)
