"""The score of entities on held-out messages, and the calibration of their confidences."""

import numpy as np
import pytest

from rasa_compressed_bert.data.entities import EntityLabel, EntitySpan
from rasa_compressed_bert.heads.measured_entities import HeldOutEntities, MeasuredEntities
from rasa_compressed_bert.metrics.confidences import expected_calibration_error
from rasa_compressed_bert.runtime.entity_decoder import FoundEntity
from rasa_compressed_bert.runtime.platt_scaling import PlattScaling

CITY = EntityLabel("city", "from")


def held_out(confidences, right):
    """Messages with an entity each, which is found with this confidence, at the right place or not."""
    found = [[FoundEntity(0, 4 if one else 3, CITY, value)] for value, one in zip(confidences, right)]
    rows = [np.zeros((3, 9))] * len(found)
    return HeldOutEntities([np.array([-1, 4, -1])] * len(found), rows, [(EntitySpan(0, 4, *CITY),)] * len(found), found)


def test_confidences_that_are_too_low_become_the_share_of_right_entities():
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0.05, 0.95, 2000)
    right = rng.random(2000) < np.sqrt(confidences)
    measured = MeasuredEntities.of(
        [held_out(confidences[:900], right[:900]), held_out(confidences[900:], right[900:])], num_tags=9
    )
    now = [measured.entity_confidences.probability(np.log(one / (1 - one))) for one in confidences]
    assert expected_calibration_error(confidences, right) > 0.15
    assert expected_calibration_error(now, right) < 0.04
    assert measured.score.f1["entity_f1"] == pytest.approx(right.mean())


def test_certain_and_impossible_entities():
    measured = MeasuredEntities.of([held_out([1.0] * 30 + [0.0] * 30, [True] * 30 + [False] * 30)], num_tags=9)
    assert measured.entity_confidences.probability(40.0) == pytest.approx(31 / 32, abs=0.02)
    assert measured.entity_confidences.probability(-40.0) == pytest.approx(1 / 32, abs=0.02)


def test_too_few_entities_to_calibrate():
    assert MeasuredEntities.of([held_out([0.5] * 19, [True] * 19)], num_tags=9).entity_confidences is None
    assert MeasuredEntities.of([HeldOutEntities([], [], [], [])], num_tags=9).entity_confidences is None


def test_measurements_in_a_manifest():
    assert MeasuredEntities.from_dict({"entity_confidences": [0.5, 1.0]}).entity_confidences == PlattScaling(0.5, 1.0)
    assert MeasuredEntities.from_dict({"entity_confidences": None}).entity_confidences is None
    assert MeasuredEntities.from_dict({"tag_temperature": 2.0}).entity_confidences == PlattScaling(0.5, 0.0)
