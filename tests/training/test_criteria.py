"""A pruning criterion that is registered from outside the package is used by name."""

import numpy as np
import pytest
from random_models import random_parameters, random_shape

from rasa_compressed_bert.compression.importance import magnitude_scores
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig, PruningConfig
from rasa_compressed_bert.config import pruning as pruning_options
from rasa_compressed_bert.errors import CompressedBertError, ConfigError
from rasa_compressed_bert.models.gates import open_gates
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.training import criteria
from rasa_compressed_bert.training.pruning import pruning_for

SHAPE = random_shape()
PARAMETERS = random_parameters(SHAPE)


class LastUnitsCriterion:
    """Units are less important the later they are in their layer."""

    def __init__(self, model):
        self._scores = magnitude_scores(model.encoder.shape, model.values())

    def observe(self, gate_gradients):
        pass

    def scores(self):
        return [
            {kind: -np.arange(values.size, dtype=float).reshape(values.shape) for kind, values in layer.items()}
            for layer in self._scores
        ]


class GradientCriterion:
    """Scores units by the absolute gradients that it observed last."""

    def __init__(self, model):
        self._scores = []

    def observe(self, gate_gradients):
        self._scores = [
            {kind: np.abs(values).sum(axis=0) for kind, values in layer.items()} for layer in gate_gradients
        ]

    def scores(self):
        return self._scores


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(criteria, "_CRITERIA", {**criteria._CRITERIA})
    names = list(pruning_options.IMPORTANCE)
    criteria.register_criterion("last_units", LastUnitsCriterion)
    criteria.register_criterion("gradients", GradientCriterion)
    yield
    pruning_options.IMPORTANCE[:] = names


def test_it_decides_what_is_pruned(registered):
    options = PruningConfig(importance="last_units", final_sparsity=0.5).resolved(4, 1.0)
    model = TaskModel(SHAPE, PARAMETERS)
    pruning = pruning_for(options, model, 10)
    for step in range(1, 41):
        pruning.after_step(step)
    smaller, _ = pruning.finish(lambda shape, parameters: TaskModel(shape, parameters))
    for layer in range(len(SHAPE.layers)):
        name = f"layers.{layer}.intermediate.kernel"
        left = smaller.values()[name].shape[1]
        assert left < SHAPE.layers[layer].intermediate_size
        np.testing.assert_array_equal(smaller.values()[name], PARAMETERS[name][:, :left])


def test_it_observes_gradients_of_all_units_that_it_scores(registered):
    options = PruningConfig(importance="gradients", final_sparsity=0.5, pooler=0.5, schedule="constant")
    model = TaskModel(SHAPE, random_parameters(SHAPE, pooler_size=16))
    pruning = pruning_for(options.resolved(4, 1.0), model, 10)
    rng = np.random.default_rng(0)
    pruning.observe(
        [{kind: rng.random((3, *gate.shape)) for kind, gate in layer.items()} for layer in open_gates(SHAPE, 16)]
    )
    for step in range(1, 41):
        pruning.after_step(step)
    *layers, pooler = pruning.final_gates()
    assert pooler["pooler"].sum() == 8
    assert min(gate.min() for layer in layers for gate in layer.values()) == 0


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda scores: scores[1].pop("attention_heads"), "layer 1 .*'attention_heads' .* nothing"),
        (lambda scores: scores[0].update(value=np.zeros(32)), r"layer 0 .*'value' .*\(4, 8\) and has \(32,\)"),
        (lambda scores: scores[0]["intermediate"].fill(np.nan), "layer 0 .*'intermediate' .* NaN"),
        (lambda scores: scores.pop(), "layer 1 .*'query_key' .* nothing"),
        (lambda scores: scores[-1].pop("pooler"), "pooler, .*'pooler' .*(16,).* nothing"),
    ],
)
def test_scores_that_no_ranking_can_use_are_refused(change, told):
    model = TaskModel(SHAPE, random_parameters(SHAPE, pooler_size=16))
    criterion = LastUnitsCriterion(model)
    scores = criterion.scores()
    if "pooler" not in told:
        scores.pop()  # nothing is asked for where the pooler is not pruned
    change(scores)
    criterion.scores = lambda: scores
    with pytest.raises(CompressedBertError, match=f"LastUnitsCriterion.scores: .*{told}"):
        criteria.checked_scores(criterion, model, pooler="pooler" in told)


def test_an_option_knows_what_is_registered(registered):
    options = {"pruning": {"importance": "last_units"}}
    assert PrunedBertIntentClassifierConfig.from_dict(options).pruning.importance == "last_units"


def test_what_is_not_registered_is_refused():
    with pytest.raises(ConfigError, match="last_units.*taylor, magnitude"):
        PrunedBertIntentClassifierConfig.from_dict({"pruning": {"importance": "last_units"}})
