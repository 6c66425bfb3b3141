"""Labels, and the split into training and validation messages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data.example import (
    Example,
    class_indices,
    evenly_spaced,
    intent_labels,
    normal_form,
    stratified_split,
)

EXAMPLES = [Example("hot", "weather"), Example("hi", "greet"), Example("rain", "weather")]


def test_labels_are_sorted_and_each_once():
    assert intent_labels(EXAMPLES) == ("greet", "weather")
    assert intent_labels([]) == ()


def test_classes_are_positions_of_the_labels():
    classes = class_indices(EXAMPLES, ("greet", "weather"))
    assert classes.tolist() == [1, 0, 1] and classes.dtype == np.int32
    assert class_indices(EXAMPLES, ("weather", "greet")).tolist() == [0, 1, 0]


classes_of_examples = st.lists(st.integers(0, 5), max_size=80).map(np.array)
shares = st.floats(0.0, 0.5)


@given(classes_of_examples, shares, st.integers(0, 2**32 - 1))
def test_split_is_complete_disjoint_and_stratified(classes, share, seed):
    training, validation = stratified_split(classes, share, seed=seed)
    assert sorted([*training, *validation]) == list(range(len(classes)))
    assert list(training) == sorted(training) and list(validation) == sorted(validation)
    assert {*classes[training]} == {*classes}, "every class keeps one for training"
    sizes = np.bincount(classes, minlength=6) if len(classes) else np.zeros(6, int)
    held = np.bincount(classes[validation], minlength=6) if len(validation) else np.zeros(6, int)
    several = np.where(sizes > 1, sizes, 0)  # a class with one message keeps it for training
    if share and several.any():
        assert np.all(np.abs(held - several * share) < 1 + 1e-9) and np.all(held[several == 0] == 0)
        assert 1 <= held.sum() < several.sum() * share + 1 + 1e-9 and held.sum() > several.sum() * share - 1 - 1e-9
    else:
        assert held.sum() == 0


@pytest.mark.parametrize("size", [2, 3, 4])
def test_many_small_classes_give_some_together(size):
    classes = np.repeat(np.arange(150), size)
    _, validation = stratified_split(classes, 0.1, seed=42)
    assert abs(len(validation) - 0.1 * len(classes)) < 1
    assert np.bincount(classes[validation]).max() == 1


@given(st.lists(st.sampled_from(["one", "One", " one  ", "two", "TWO", "three"]), max_size=20), shares, st.data())
def test_texts_that_differ_in_case_and_blanks_are_in_one_part(texts, share, data):
    classes = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(texts), max_size=len(texts))), np.int64)
    parts = stratified_split(classes, share, seed=0, texts=texts)
    training, validation = ({normal_form(texts[place]) for place in part} for part in parts)
    assert not training & validation and sorted(np.concatenate(parts)) == list(range(len(texts)))


def test_texts_that_differ_in_the_encoding_of_accents_are_in_one_part():
    """A model reads both in the same way, so a held-out one would be known from the other."""
    words = [f"caf\u00e9 {letter}" for letter in "abcdefghij"]
    texts = [*words, *(word.replace("\u00e9", "e\u0301") for word in words)]
    _, validation = stratified_split(np.zeros(20, int), 0.3, seed=0, texts=texts)
    assert len(validation) == 6 and sorted(validation % 10) == sorted(2 * [*validation[:3]])


@given(classes_of_examples, shares, st.integers(0, 1000))
def test_split_depends_on_the_seed_alone(classes, share, seed):
    first, second = (stratified_split(classes, share, seed=seed) for _ in range(2))
    assert first[0].tolist() == second[0].tolist() and first[1].tolist() == second[1].tolist()


def test_seeds_choose_differently():
    classes = np.zeros(100, int)
    assert stratified_split(classes, 0.2, seed=1)[1].tolist() != stratified_split(classes, 0.2, seed=2)[1].tolist()


@pytest.mark.parametrize("classes", [[], [0], [0, 1, 2]])
def test_one_example_a_class_stays_in_training(classes):
    training, validation = stratified_split(np.array(classes, np.int64), 0.5, seed=0)
    assert training.tolist() == list(range(len(classes))) and validation.tolist() == []
    assert validation.dtype == np.int64


def test_no_share_holds_out_nothing():
    assert stratified_split(np.zeros(50, int), 0.0, seed=0)[1].tolist() == []


@given(st.integers(0, 500), st.integers(1, 200))
def test_spread_is_even_and_no_more_than_asked(count, most):
    places = evenly_spaced(count, most)
    assert len(places) == min(count, most)
    assert set(places) <= set(range(count))
    gaps = np.diff([*places, count])
    assert not count or places[0] == 0 and gaps.max() - gaps.min() <= 1
