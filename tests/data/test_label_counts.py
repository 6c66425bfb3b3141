"""Counts of entity labels by intent, and the mutual information that follows from them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data.entities import EntitySpan, entity_labels
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.label_counts import LabelCounts

DATE, CITY = (EntitySpan(0, 1, entity) for entity in ("date", "city"))
LABELS = entity_labels([DATE, CITY])  # city, date
EXAMPLES = [
    Example("a", "fly", (CITY, DATE)),
    Example("b", "fly", (CITY, CITY._replace(start=2, end=3))),  # two cities count once
    Example("c", "greet"),
    Example("d", None, (DATE,)),  # without an intent
    Example("greet", "greet", annotated=False),  # the name of an intent
]
COUNTS = LabelCounts.of(EXAMPLES, LABELS)


def test_annotated_messages_with_an_intent_are_counted():
    assert COUNTS == LabelCounts({"fly": (2, 2, 1), "greet": (1, 0, 0)})


def test_log_ratios():
    """By hand: 2 of 3 messages have a city and 1 of 3 a date; one average message is added to each intent."""
    city, date = 2 / 3, 1 / 3
    expected = [
        [0.0, 0.0],  # never seen
        [math.log((0 + city) / 2 / city), math.log((0 + date) / 2 / date)],
        [math.log((2 + city) / 3 / city), math.log((1 + date) / 3 / date)],
    ]
    np.testing.assert_allclose(COUNTS.log_ratios(["new", "greet", "fly"]), expected, atol=1e-12)


def test_a_label_that_no_message_has_says_nothing():
    counts = LabelCounts({"greet": (3, 0, 3), "fly": (2, 0, 0)})
    assert counts.log_ratios(["greet", "fly"])[:, 0].tolist() == [0.0, 0.0]
    assert LabelCounts({}).log_ratios(["greet"]).shape == (1, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sets(st.sampled_from([CITY, DATE]))), max_size=20))
def test_counts_survive_json(messages):
    counts = LabelCounts.of([Example("x", intent, tuple(sorted(spans))) for intent, spans in messages], LABELS)
    assert LabelCounts.from_dict(json.loads(json.dumps(counts.to_dict())), len(LABELS)) == counts
    assert np.isfinite(counts.log_ratios("abcd")).all()


@pytest.mark.parametrize("counts", [[], [2, 1], [2, 1, 3], [2, -1, 0], [0, 0, 0], [2.5, 1, 1], [1, 1, 1, 1]])
def test_impossible_counts(counts):
    with pytest.raises(ValueError, match="greet"):
        LabelCounts.from_dict({"greet": counts}, 2)
