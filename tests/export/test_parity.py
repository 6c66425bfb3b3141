"""An export that disagrees is refused."""

import numpy as np
import pytest

from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export.parity import MAX_CHANGED, MAX_DISTANCE, Parity, check, compare


def test_compare_by_hand():
    trained = np.array([[0.9, 0.1], [0.52, 0.48], [0.8, 0.2], [0.6, 0.4]])
    exported = np.array([[0.9, 0.1], [0.48, 0.52], [0.3, 0.7], [0.7, 0.3]])
    parity = compare(trained, exported)
    assert (parity.messages, parity.changed, parity.decisively_changed) == (4, 2, 1)
    assert parity.distance == pytest.approx((0.0 + 0.04 + 0.5 + 0.1) / 4)


def test_equal_models_agree():
    confidences = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    assert compare(confidences, confidences) == Parity(50, 0, 0, 0.0)
    check(compare(confidences, confidences))


@pytest.mark.parametrize("messages, allowed", [(1, 1), (20, 1), (500, int(MAX_CHANGED * 500))])
def test_a_few_labels_may_change(messages, allowed):
    check(Parity(messages, messages, allowed, 0.0))
    with pytest.raises(ExportError, match=f"{allowed + 1} of {messages} labels changed .allowed: {allowed}"):
        check(Parity(messages, messages, allowed + 1, 0.0))


def test_confidences_may_move_a_little():
    check(Parity(100, 0, 0, MAX_DISTANCE))
    for distance in (MAX_DISTANCE * 1.01, 1.0, float("nan"), float("inf")):
        with pytest.raises(ExportError, match="confidences moved.*Nothing was saved"):
            check(Parity(100, 0, 0, distance))


def test_an_export_that_gives_no_numbers_is_refused():
    with pytest.raises(ExportError):
        check(compare(np.full((3, 2), 0.5), np.full((3, 2), np.nan)))
