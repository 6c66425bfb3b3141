import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.metrics.confidences import (
    best_fallback,
    expected_calibration_error,
    fallback_f1,
    in_scope_confidences,
    out_of_scope_auroc,
    reliability,
)

CONFIDENCES = st.lists(st.integers(0, 10007).map(lambda value: value / 10007), min_size=1, max_size=50)  # on no edge


def test_calibration_error_of_confidences_that_are_right_as_often_as_they_say():
    assert expected_calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0.0)
    assert expected_calibration_error([0.75] * 4, [True, False, False, False]) == pytest.approx(0.5)
    assert expected_calibration_error([1.0, 0.0], [False, True]) == pytest.approx(1.0)


@given(CONFIDENCES, st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_calibration_error_is_that_of_its_formula(confidences, seed, bins):
    right = np.random.default_rng(seed).random(len(confidences)) < confidences
    expected, edges = 0.0, np.arange(bins + 1) / bins
    for low, high in zip(edges, edges[1:]):
        members = [index for index, value in enumerate(confidences) if low < value <= high or value == low == 0.0]
        if members:
            accuracy = np.mean([right[index] for index in members])
            gap = accuracy - np.mean([confidences[index] for index in members])
            expected += len(members) / len(confidences) * abs(gap)
    assert expected_calibration_error(confidences, right, bins=bins) == pytest.approx(expected, abs=1e-9)


@given(CONFIDENCES, CONFIDENCES)
def test_auroc_is_the_share_of_pairs_in_the_right_order(inside, outside):
    pairs = [(one > other) + 0.5 * (one == other) for one in inside for other in outside]
    assert out_of_scope_auroc(inside, outside) == pytest.approx(np.mean(pairs))


def test_fallback_f1_counts_what_is_below_the_threshold():
    assert fallback_f1([0.9, 0.8], [0.1, 0.2], 0.3) == 1.0
    assert fallback_f1([0.9, 0.2], [0.1, 0.4], 0.3) == pytest.approx(0.5)
    assert fallback_f1([0.9, 0.8], [0.7, 0.6], 0.3) == 0.0


def test_the_best_threshold_is_that_of_the_highest_f1():
    assert best_fallback([0.9, 0.8], [0.1, 0.7]) == (0.8, 1.0)
    assert best_fallback([0.9, 0.7132], [0.1, 0.7121]) == (0.713, 1.0), "a message at the threshold is in scope"
    threshold, best = best_fallback([0.9, 0.2, 0.6], [0.1, 0.4, 0.5])
    assert (threshold, best) == (0.6, pytest.approx(6 / 7))


TIED = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=20)


@given(TIED, TIED)
def test_no_threshold_is_better_than_the_best(inside, outside):
    threshold, best = best_fallback(inside, outside)
    assert best == pytest.approx(fallback_f1(inside, outside, threshold))
    assert all(best >= fallback_f1(inside, outside, other) - 1e-9 for other in np.linspace(0, 1.1, 23))


@given(CONFIDENCES, CONFIDENCES)
def test_the_best_threshold_is_as_it_is_printed(inside, outside):
    threshold, best = best_fallback(inside, outside)
    assert best == pytest.approx(fallback_f1(inside, outside, float(str(threshold))))
    assert len(str(threshold)) <= 8, "confidences are at least 0.0001 apart"


def test_reliability_has_no_empty_bins():
    bins = reliability([0.0, 0.1, 0.95, 0.93, 1.0], [False, True, True, False, True])
    assert [(one.answers, round(one.confidence, 3), round(one.accuracy, 3)) for one in bins] == [
        (2, 0.05, 0.5),
        (3, 0.96, 0.667),
    ]


def test_a_message_answered_with_the_own_intent_out_of_scope_is_not_confidently_in_scope():
    predicted, confidences = ["a", "out_of_scope", None, "out_of_scope"], [0.9, 0.8, 0.0, 0.7]
    assert in_scope_confidences(predicted, confidences) == [0.9, 0.0, 0.0, 0.0]
    assert in_scope_confidences(predicted, confidences, ["a", "b", "b", "out_of_scope"]) == [0.9, 0.0, 0.0]
    assert in_scope_confidences(predicted[3:], confidences[3:], ["out_of_scope"]) == [0.0]
