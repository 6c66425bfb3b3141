"""From logits of responses to a ranking per retrieval intent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.response_decoder import ResponseDecoder

LABELS = ["chat/a", "chat/b", "faq/a", "one/only"]


def decoder(temperature=1.0, labels=LABELS):
    return ResponseDecoder({"labels": labels, "temperature": temperature})


def test_confidences_are_given_the_intent_and_best_first():
    found = decoder().decode(np.log(np.array([1.0, 3.0, 50.0, 0.1], np.float32)))
    assert list(found) == ["chat", "faq", "one"]
    assert [name for name, _ in found["chat"]] == ["chat/b", "chat/a"]
    assert [value for _, value in found["chat"]] == pytest.approx([0.75, 0.25])
    assert found["faq"] == [("faq/a", 1.0)] and found["one"] == [("one/only", 1.0)]


def test_a_temperature_softens():
    found = decoder(2.0).decode(np.log(np.array([1.0, 9.0, 1.0, 1.0], np.float32)))
    assert found["chat"] == [("chat/b", pytest.approx(0.75)), ("chat/a", pytest.approx(0.25))]


@given(st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4))
def test_confidences_of_an_intent_sum_to_one(logits):
    for ranking in decoder().decode(np.array(logits, np.float32)).values():
        values = [value for _, value in ranking]
        assert sum(values) == pytest.approx(1.0) and values == sorted(values, reverse=True)
        assert all(isinstance(value, float) for value in values)


def test_of_equal_responses_the_first_comes_first():
    assert [name for name, _ in decoder().decode(np.zeros(4, np.float32))["chat"]] == ["chat/a", "chat/b"]


@pytest.mark.parametrize("logits", [np.zeros(3), np.zeros((1, 4)), np.full(4, np.nan)])
def test_invalid_logits_are_refused(logits):
    with pytest.raises(ArtifactError):
        decoder().decode(logits.astype(np.float32))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_an_invalid_temperature_is_refused(temperature):
    with pytest.raises(ArtifactError):
        decoder(temperature)
