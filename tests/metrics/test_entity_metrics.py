import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.metrics.entities import are_right, entity_f1

CITY, MUSIC = EntitySpan(0, 4, "city"), EntitySpan(5, 9, "music")
FROM = EntitySpan(0, 4, "city", role="from")


@pytest.mark.parametrize(
    "expected, predicted, share",
    [
        ([[CITY], [MUSIC]], [[CITY], [MUSIC]], 1.0),
        ([[CITY], [MUSIC]], [[CITY], []], 2 / 3),
        ([[CITY, MUSIC]], [[CITY, EntitySpan(5, 8, "music")]], 1 / 2),  # another end
        ([[CITY]], [[EntitySpan(0, 4, "country")]], 0.0),
        ([[CITY], []], [[], [CITY]], 0.0),  # in another message
        ([[CITY]], [[CITY, CITY]], 1.0),  # found by two extractors
        ([[CITY]], [[FROM, FROM._replace(role="to")]], 1.0),  # the test data has no role there
        ([[FROM]], [[CITY]], 0.0),
        ([[FROM]], [[FROM._replace(group="1")]], 1.0),
        ([[FROM]], [[FROM, FROM._replace(role="to")]], 2 / 3),
        ([[CITY]], [[]], 0.0),
        ([[]], [[CITY]], None),
    ],
)
def test_entities_are_right_where_span_type_and_annotated_role_are(expected, predicted, share):
    as_json = json.loads(json.dumps(predicted))
    assert entity_f1(expected, as_json) == (share if share is None else pytest.approx(share))


def test_whether_each_entity_is_right():
    found = [[MUSIC, CITY], [], [FROM._replace(role="to"), FROM, EntitySpan(0, 4, "city", "from", "1")]]
    assert are_right([[CITY], [MUSIC], [FROM]], found) == [False, True, False, True, True]
    assert are_right([[CITY]], [[FROM]]) == [True]  # the test data has no role there
    assert are_right([], []) == []


SPAN = st.tuples(st.integers(0, 2), st.integers(3, 4), st.sampled_from("ab")).map(lambda values: EntitySpan(*values))
SPANS = st.lists(st.frozensets(SPAN))


@given(SPANS, SPANS)
def test_entity_f1_is_that_of_precision_and_recall(expected, predicted):
    right = sum(len(gold & found) for gold, found in zip(expected, predicted))
    share = entity_f1([list(gold) for gold in expected], [list(found) for found in predicted])
    if right:
        precision, recall = right / sum(map(len, predicted)), right / sum(map(len, expected))
        assert share == pytest.approx(2 * precision * recall / (precision + recall))
    else:
        assert not share
