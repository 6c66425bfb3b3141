"""Labels and the split into training and validation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data.example import Example, class_indices, evenly_spaced, intent_labels, stratified_split

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
    rounded = [min(int(size * share + 0.5), max(size - 1, 0)) for size in sizes]
    if any(rounded) or share == 0 or sizes.max(initial=0) < 2:
        assert held.tolist() == rounded
    else:
        assert held.sum() == 1 and sizes[held.argmax()] == sizes.max()


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
