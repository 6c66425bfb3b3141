"""The map from views to the confidences that Rasa gets, including its two rules."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.training.view_fitting import fit_characters, fit_neighbours
from rasa_compressed_bert.views import decision
from rasa_compressed_bert.views.classifier import ClassifierView
from rasa_compressed_bert.views.decision import ConfidenceMap, IntentDecision, Pooled
from rasa_compressed_bert.views.view import Reading

PROBABILITIES = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12).map(lambda row: np.array(row) / sum(row))
MAPS = st.builds(
    ConfidenceMap,
    power=st.floats(0.5, 6.0),
    familiarity=st.floats(-1.0, 2.0),
    scale=st.floats(0.01, 1.0),
    threshold=st.floats(0.05, 0.9),
)


@given(MAPS, PROBABILITIES, st.floats(-2.0, 3.0))
def test_confidences_are_confidences_in_the_order_of_the_probabilities(mapped, probabilities, familiarity):
    confidences = mapped.confidences(Pooled(probabilities, familiarity))
    assert confidences.min() >= 0.0
    assert confidences.sum() <= 1.0 + 1e-9
    assert confidences[probabilities.argmax()] == confidences.max()


@given(MAPS, PROBABILITIES, st.floats(-2.0, 3.0))
def test_below_the_threshold_if_unfamiliar_or_improbable_and_only_then(mapped, probabilities, familiarity):
    confidences = mapped.confidences(Pooled(probabilities, familiarity))
    probable = mapped.confidences(Pooled(probabilities, 1e6)).max()
    if familiarity < mapped.familiarity:
        assert confidences.max() < mapped.threshold
    elif probable >= mapped.threshold:
        assert confidences.max() >= mapped.threshold


@given(MAPS, PROBABILITIES, st.floats(-2.0, 3.0), st.floats(0.0, 1.0))
def test_a_more_familiar_message_is_never_less_confident(mapped, probabilities, familiarity, more):
    one = mapped.confidences(Pooled(probabilities, familiarity)).max()
    other = mapped.confidences(Pooled(probabilities, familiarity + more)).max()
    assert other >= one - 1e-9


@given(MAPS, PROBABILITIES, st.floats(-2.0, 3.0))
def test_differences_are_those_of_the_probabilities_unless_nothing_is_left(mapped, probabilities, familiarity):
    """Rasa's ambiguity rule compares them, and must not depend on the familiarity of a message."""
    familiar = mapped.confidences(Pooled(probabilities, 1e9))
    confidences = mapped.confidences(Pooled(probabilities, familiarity))
    lost = familiar.max() - confidences.max()
    np.testing.assert_allclose(confidences, np.maximum(familiar - lost, 0.0), atol=1e-9)


def test_a_message_that_is_just_familiar_enough_is_not_below_the_threshold():
    """Such a training message determined the threshold."""
    mapped = ConfidenceMap(power=1.0, familiarity=0.5, scale=0.1, threshold=0.3)
    for best in np.linspace(0.5, 1.0, 50):
        assert mapped.confidences(Pooled(np.array([best, 1.0 - best, 0.0]), 0.5)).max() == 0.3


def test_two_intents_that_are_nearly_as_probable_are_ambiguous():
    mapped = ConfidenceMap(power=1.0, familiarity=0.5, scale=0.1, threshold=0.3)
    for probabilities, ambiguous in ((np.array([0.7, 0.2, 0.1]), False), (np.array([0.45, 0.44, 0.11]), True)):
        for familiarity in (0.52, 0.6, 2.0):
            best, second, _ = mapped.confidences(Pooled(probabilities, familiarity))
            assert (best - second < 0.1) == ambiguous  # FallbackClassifier's default


@given(PROBABILITIES, st.floats(-2.0, 3.0))
def test_an_own_intent_out_of_scope_need_not_be_familiar(probabilities, familiarity):
    best = int(probabilities.argmax())
    mapped = ConfidenceMap(power=1.0, familiarity=0.5, scale=0.1, threshold=0.3, out_of_scope_class=best)
    np.testing.assert_allclose(mapped.confidences(Pooled(probabilities, familiarity)), probabilities, atol=1e-9)
    other = replace(mapped, out_of_scope_class=len(probabilities))
    usual = replace(mapped, out_of_scope_class=None)
    np.testing.assert_array_equal(*(one.confidences(Pooled(probabilities, familiarity)) for one in (other, usual)))


def test_damaged_weights_are_refused():
    views = {"classifier": ClassifierView(1.0)}
    damaged = IntentDecision(views, {"classifier": 1.0}, ConfidenceMap(1.0, 0.0, 1.0, 0.3))
    with pytest.raises(ArtifactError):
        damaged.confidences(Reading("hello", np.array([np.nan, 1.0]), None))
    with pytest.raises(ArtifactError):
        ConfidenceMap(1.0, 0.0, 1.0, 0.3).confidences(Pooled(np.array([0.6, 0.4]), np.nan))


def test_stored_and_read_again():
    described, tensors, before, readings = decision_of_four()
    again = decision.read(json.loads(json.dumps(described)), tensors, 4)
    for reading in readings:
        assert again.confidences(reading) == pytest.approx(before.confidences(reading), abs=0.03)


def decision_of_four():
    """The manifest entry and tensors of a decision between four intents, the decision, and messages for it."""
    rng = np.random.default_rng(0)
    features, classes = rng.normal(size=(8, 6)), np.repeat(np.arange(4), 2)
    texts = ["red apples", "red pears", "green fish", "green frogs", "blue sky", "blue sea", "old man", "old dog"]
    views = {
        "classifier": ClassifierView(0.7),
        "neighbours": fit_neighbours(features, classes, 4, seed=0),
        "characters": fit_characters(texts, classes, 4, seed=0),
    }
    weights = {"classifier": 0.5, "neighbours": 0.0, "characters": 0.5}
    mapped = ConfidenceMap(power=1.5, familiarity=0.4, scale=0.2, threshold=0.3)
    readings = [Reading(text, rng.normal(size=4), row) for text, row in zip(texts, features)]
    return (*decision.stored(views, weights, mapped), IntentDecision(views, weights, mapped), readings)


def changed(place, value):
    """Returns a function that changes one value of a tensor, with a type that can hold it."""

    def change(tensor):
        other = tensor.astype(np.promote_types(tensor.dtype, np.min_scalar_type(value)))
        other[place] = value
        return other

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("classifier.temperature", lambda tensor: -tensor),
        ("neighbours.starts", lambda tensor: tensor[::-1].copy()),
        ("neighbours.starts", lambda tensor: tensor[:-1]),
        ("neighbours.starts", changed(-1, 8)),
        ("neighbours.rows", lambda tensor: tensor[:, :-1].copy()),
        ("neighbours.rows.row_scale", changed(0, np.nan)),
        ("characters.places", changed(-1, 4096)),
        ("characters.bias", lambda tensor: tensor[:1]),
        ("characters.kernel", lambda tensor: tensor[:, :1].copy()),
        ("characters.frequency", changed(0, np.inf)),
        ("characters.message.places", changed(-1, 4096)),
        ("characters.message.places", lambda tensor: tensor[:-1]),
        ("characters.message.values", lambda tensor: tensor[:-1]),
        ("characters.message.rows", lambda tensor: tensor[::-1].copy()),
        ("characters.message.starts", lambda tensor: tensor[:-1]),
        ("characters.message.starts", lambda tensor: np.zeros_like(tensor)),
    ],
)
def test_damaged_tensors_are_refused_before_a_message_meets_them(name, change):
    described, tensors, _, _ = decision_of_four()
    with pytest.raises(ArtifactError, match="views of the model cannot be read"):
        decision.read(described, {**tensors, name: change(tensors[name])}, 4)


def test_missing_tensors_are_named():
    described, tensors, _, _ = decision_of_four()
    for name in tensors:
        others = {other: tensor for other, tensor in tensors.items() if other != name}
        with pytest.raises(ArtifactError, match=name.split(".", 1)[1]):
            decision.read(described, others, 4)


@pytest.mark.parametrize("number", [3, 5])
def test_views_of_other_intents_are_refused(number):
    described, tensors, _, _ = decision_of_four()
    with pytest.raises(ArtifactError):
        decision.read(described, tensors, number)


@pytest.mark.parametrize(
    "entries",
    [
        {"weights": {"classifier": 0.5, "others": 0.5}},
        {"weights": {"classifier": 2.0, "characters": -1.0}},
        {"weights": {}},
        {"weights": None},
        {"confidence": {"power": 1.0, "familiarity": 0.4, "scale": 0.0, "threshold": 0.3}},
        {"confidence": {"power": float("nan"), "familiarity": 0.4, "scale": 0.1, "threshold": 0.3}},
        {"confidence": {"power": 1.0, "familiarity": 0.4, "scale": 0.1, "threshold": 30}},
        {"confidence": {"power": 1.0}},
    ],
)
def test_an_entry_that_is_no_decision_is_refused(entries):
    described, tensors, _, _ = decision_of_four()
    with pytest.raises(ArtifactError, match="views of the model cannot be read"):
        decision.read({**described, **entries}, tensors, 4)


def test_a_small_file_may_not_expand_to_a_table_of_very_many_intents():
    """A table without any n-gram takes no bytes, whatever the number of intents."""
    count, nothing = 10**6, np.zeros((0, 10**6), np.int8)
    tensors = {
        **{"places": np.zeros(0, np.uint16), "frequency": np.zeros(0, np.float16), "bias": np.zeros(count, np.float32)},
        **{"kernel": nothing, "kernel.row_scale": np.zeros(0, np.float32)},
        **{"centroids": nothing, "centroids.row_scale": np.zeros(0, np.float32)},
    }
    confidence = {"power": 1.0, "familiarity": 0.4, "scale": 0.1, "threshold": 0.3}
    with pytest.raises(ArtifactError, match="1000000 intents"):
        decision.read(
            {"weights": {"characters": 1.0}, "confidence": confidence},
            {f"characters.{name}": tensor for name, tensor in tensors.items()},
            count,
        )
