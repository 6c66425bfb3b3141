"""An export whose outputs differ from the model's is refused."""

import numpy as np
import pytest

from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export.parity import (
    MAX_CHANGED,
    MAX_DISTANCE,
    MIN_SIMILARITY,
    Parity,
    check_confidences,
    check_features,
    compare_confidences,
)


def test_compare_by_hand():
    trained = np.array([[0.9, 0.1], [0.52, 0.48], [0.8, 0.2], [0.6, 0.4]])
    exported = np.array([[0.9, 0.1], [0.48, 0.52], [0.3, 0.7], [0.7, 0.3]])
    parity = compare_confidences(trained, exported)
    assert (parity.messages, parity.changed, parity.decisively_changed) == (4, 2, 1)
    assert parity.distance == pytest.approx((0.0 + 0.04 + 0.5 + 0.1) / 4)


def test_equal_models_agree():
    confidences = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    assert compare_confidences(confidences, confidences) == Parity(50, 0, 0, 0.0)
    check_confidences(compare_confidences(confidences, confidences))


@pytest.mark.parametrize("messages, allowed", [(1, 1), (20, 1), (500, int(MAX_CHANGED * 500))])
def test_a_few_labels_may_change(messages, allowed):
    check_confidences(Parity(messages, messages, allowed, 0.0))
    with pytest.raises(ExportError, match=f"{allowed + 1} of {messages} labels changed .allowed: {allowed}"):
        check_confidences(Parity(messages, messages, allowed + 1, 0.0))


def test_confidences_may_move_a_little():
    check_confidences(Parity(100, 0, 0, MAX_DISTANCE))
    for distance in (MAX_DISTANCE * 1.01, 1.0, float("nan"), float("inf")):
        with pytest.raises(ExportError, match="confidences moved.*Nothing was saved"):
            check_confidences(Parity(100, 0, 0, distance))


def test_an_export_that_gives_no_numbers_is_refused():
    with pytest.raises(ExportError):
        check_confidences(compare_confidences(np.full((3, 2), 0.5), np.full((3, 2), np.nan)))


def hidden_states(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, 16)).astype(np.float32) for length in lengths]


def test_equal_hidden_states_are_alike_whatever_their_size():
    states = hidden_states(3, 1, 7)
    assert check_features(states, states) == pytest.approx(1.0)
    assert check_features(states, [3.0 * state for state in states]) == pytest.approx(1.0)


def test_similarity_is_the_mean_over_all_wordpieces():
    trained = [np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 4.0]])]
    exported = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[4.0, 3.0]])]
    assert check_features(trained, exported) == pytest.approx((1.0 + 1.0 + 24 / 25) / 3)


@pytest.mark.parametrize("similarity", [MIN_SIMILARITY + 0.001, MIN_SIMILARITY - 0.001])
def test_hidden_states_may_turn_a_little(similarity):
    trained = [np.array([[1.0, 0.0]])]
    exported = [np.array([[similarity, np.sqrt(1 - similarity**2)]])]
    if similarity >= MIN_SIMILARITY:
        assert check_features(trained, exported) == pytest.approx(similarity)
        return
    with pytest.raises(ExportError, match=f"similarity of {similarity:.3f}.*Nothing was saved.*dynamic_int8 or none"):
        check_features(trained, exported)


@pytest.mark.parametrize("damage", [0.0, np.nan, np.inf])
def test_hidden_states_that_are_no_numbers_or_nothing_are_refused(damage):
    trained = hidden_states(4, 2)
    with np.errstate(invalid="ignore"), pytest.raises(ExportError):
        check_features(trained, [np.full_like(state, damage) for state in trained])
