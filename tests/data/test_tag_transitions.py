"""Transitions between tags are counted, stored and scored."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data.entities import EntityLabel, TagScheme
from rasa_compressed_bert.data.tag_transitions import TagTransitions

SCHEME = TagScheme((EntityLabel("city"), EntityLabel("date")))
OUT, BEGIN, INSIDE, LAST, UNIT, EDGE = 0, 1, 2, 3, 4, 9  # of the city
DATE = 8  # a date of one word
MESSAGES = [[OUT, UNIT, OUT], [OUT, OUT, BEGIN, LAST, DATE], [OUT]]
COUNTS = TagTransitions.of(MESSAGES, SCHEME)


def test_transitions_are_counted_with_the_edges_of_messages():
    expected = {
        (EDGE, OUT): 3,
        (OUT, UNIT): 1,
        (UNIT, OUT): 1,
        (OUT, EDGE): 2,
        (OUT, OUT): 1,
        (OUT, BEGIN): 1,
        (BEGIN, LAST): 1,
        (LAST, DATE): 1,
    }
    assert {(before, after): count for before, after, count in COUNTS.counts} == {**expected, (DATE, EDGE): 1}
    assert TagTransitions.of([], SCHEME) == TagTransitions()


def test_scores_are_weighted_mutual_information():
    """12 transitions, 5 of them to the tag outside and 2 from there to the edge, which 3 of them have."""
    scores = COUNTS.scores(SCHEME)
    to_outside, to_edge = (5 + 1) / (12 + 10), (3 + 1) / (12 + 10)
    assert scores[EDGE, OUT] == pytest.approx(0.3 * math.log((3 + to_outside) / (3 + 1) / to_outside))
    assert scores[OUT, EDGE] == pytest.approx(0.3 * math.log((2 + to_edge) / (5 + 1) / to_edge))
    assert scores[LAST, DATE] > 0 > scores[OUT, DATE] > -np.inf, (
        "a date that follows a city was seen, one alone was not"
    )


@pytest.mark.parametrize("counts", [COUNTS, TagTransitions()])
def test_invalid_transitions_are_impossible(counts):
    scores = counts.scores(SCHEME)
    impossible = {
        (OUT, INSIDE),
        (OUT, LAST),
        (BEGIN, OUT),
        (BEGIN, UNIT),
        (INSIDE, EDGE),
        (EDGE, LAST),
        (UNIT, INSIDE),
        (BEGIN, 7),
        (LAST, LAST),
    }
    assert all(scores[pair] == -np.inf for pair in impossible)
    assert np.isfinite(
        [
            scores[pair]
            for pair in (
                (OUT, OUT),
                (BEGIN, INSIDE),
                (INSIDE, INSIDE),
                (INSIDE, LAST),
                (LAST, UNIT),
                (UNIT, DATE),
                (EDGE, EDGE),
            )
        ]
    ).all()


def test_without_messages_all_valid_transitions_are_alike():
    scores = TagTransitions().scores(SCHEME)
    assert (scores[SCHEME.valid_transitions()] == 0.0).all()


@given(st.lists(st.lists(st.integers(0, EDGE - 1), max_size=6), max_size=6))
def test_json(messages):
    counts = TagTransitions.of(messages, SCHEME)
    assert TagTransitions.from_list(json.loads(json.dumps(counts.to_list())), SCHEME) == counts
    assert not np.isnan(counts.scores(SCHEME)).any()


@pytest.mark.parametrize(
    "row",
    [[0, 1], [0, 1, 0], [-1, 0, 1], [0, 10, 1], [0, 0.5, 1], ["O", "O", 1], [0, 0, 1, 1], [0, 0, 10**308]],
)
def test_impossible_counts_are_refused(row):
    with pytest.raises(ValueError):
        TagTransitions.from_list([[0, 0, 1], row], SCHEME)
