import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from rasa_compressed_bert.metrics.weaknesses import Confused, most_confused, weakest

CLASSES = np.array([0, 0, 0, 1, 1, 2, 2, 3])
PREDICTED = np.array([0, 1, 1, 1, 0, 2, 2, 0])


def test_the_classes_with_most_mistakes_come_first_and_those_without_one_are_left_out():
    found = weakest(CLASSES, PREDICTED, most=5)
    assert [(one.label, one.mistakes, one.examples) for one in found] == [(0, 4, 3), (1, 3, 2), (3, 1, 1)]
    assert [one.f1 for one in found] == pytest.approx([1 / 3, 2 / 5, 0.0])
    assert weakest(CLASSES, CLASSES, most=5) == [] and len(weakest(CLASSES, PREDICTED, most=1)) == 1


def test_pairs_are_counted_in_one_direction_and_have_their_first_example():
    pairs = [
        Confused(0, 1, 2, 1),
        Confused(1, 0, 1, 4),
        Confused(3, 0, 1, 7),
    ]
    assert most_confused(CLASSES, PREDICTED, most=5) == pairs
    assert most_confused(CLASSES, CLASSES, most=5) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_f1_is_that_of_scikit_learn(pairs):
    classes, predicted = map(np.array, zip(*pairs))
    for one in weakest(classes, predicted, most=9):
        assert one.f1 == pytest.approx(f1_score(classes == one.label, predicted == one.label))
        assert one.mistakes == ((classes == one.label) != (predicted == one.label)).sum()
    assert sum(pair.examples for pair in most_confused(classes, predicted, most=99)) == (classes != predicted).sum()
