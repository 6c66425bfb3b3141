"""Criteria of structured pruning: the importance of each unit, accumulated during training.

A new criterion is a class with `observe` and `scores`, registered with `register_criterion` under a value of the option
`pruning.importance`.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Protocol, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.compression.importance import magnitude_scores, taylor_scores
from rasa_compressed_bert.compression.neuron_pruning import HEADS, POOLER, VALUE, LayerScores
from rasa_compressed_bert.config.pruning import IMPORTANCE
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.models.gates import open_gates
from rasa_compressed_bert.models.task_model import TaskModel

_NOT_FINITE = "NaN or infinity (also if the training diverged, see learning_rate)"
GateGradients = Sequence[Mapping[str, tf.Tensor]]


class Criterion(Protocol):
    """Scores of the units of one model."""

    def observe(self, gate_gradients: GateGradients) -> None:
        """Called in the graph of each train step, after the backward pass.

        Args:
            gate_gradients: gradients of the summed loss with respect to each example's gates, `(B, *gate)`; one
                dictionary for each layer, and one for a pooler, with the kinds of units of `LayerScores`.
        """

    def scores(self) -> List[LayerScores]:
        """Called between train steps: the scores of all units since the last call.

        The score of a unit is a sum over its weights: units are ranked by their scores divided by the number of their
        weights, and the lowest are pruned first. Units that are pruned already are scored too.
        """


class TaylorCriterion:
    """The empirical Fisher information of each gate, see `compression.importance.taylor_scores`."""

    def __init__(self, model: TaskModel):
        self._sums = [
            {kind: tf.Variable(np.zeros(score.shape, np.float32), trainable=False) for kind, score in layer.items()}
            for layer in magnitude_scores(model.encoder.shape, model.values())
        ]

    def observe(self, gate_gradients: GateGradients) -> None:
        for sums, batch_scores in zip(self._sums, taylor_scores(gate_gradients)):
            for kind, total in sums.items():
                total.assign_add(batch_scores[kind])

    def scores(self) -> List[LayerScores]:
        scores = [{kind: total.numpy() for kind, total in layer.items()} for layer in self._sums]
        for layer in self._sums:
            for total in layer.values():
                total.assign(tf.zeros_like(total))
        return scores


class MagnitudeCriterion:
    """The squared weights of each unit, see `compression.importance.magnitude_scores`."""

    def __init__(self, model: TaskModel):
        self._model = model

    def observe(self, gate_gradients: GateGradients) -> None:
        return

    def scores(self) -> List[LayerScores]:
        return magnitude_scores(self._model.encoder.shape, self._model.values())


_CRITERIA: Dict[str, Callable[[TaskModel], Criterion]] = {"taylor": TaylorCriterion, "magnitude": MagnitudeCriterion}


def register_criterion(name: str, criterion: Callable[[TaskModel], Criterion]) -> None:
    """Adds a criterion, or replaces one.

    Args:
        name: the value of `pruning.importance` that selects it.
        criterion: makes the criterion for a model that is about to be pruned.
    """
    _CRITERIA[name] = criterion
    if name not in IMPORTANCE:
        IMPORTANCE.append(name)


def criterion_for(name: str, model: TaskModel) -> Criterion:
    """Makes the criterion for a value of `pruning.importance`."""
    return _CRITERIA[name](model)


def checked_scores(criterion: Criterion, model: TaskModel, *, pooler: bool) -> List[LayerScores]:
    """The scores of a criterion.

    Args:
        criterion: scores the units.
        model: the model that it was made for.
        pooler: whether neurons of the pooler are pruned; else their scores may be missing.

    Raises:
        CompressedBertError: if scores of a kind of units are missing, not finite, or not one for each unit.
    """
    scores = criterion.scores()
    for index, gates in enumerate(open_gates(model.encoder.shape, model.pooler_size if pooler else 0)):
        sizes = {kind: gate.shape for kind, gate in gates.items()}
        if VALUE in sizes:
            sizes[HEADS] = sizes[VALUE][:1]
        layer = scores[index] if index < len(scores) else {}
        for kind, size in sizes.items():
            found = np.asarray(layer[kind]) if kind in layer else None
            if found is None or found.shape != size or not np.isfinite(found).all():
                what = "nothing" if found is None else str(found.shape) if found.shape != size else _NOT_FINITE
                place = "the pooler, in the last dictionary," if kind == POOLER else f"layer {index}"
                raise CompressedBertError(
                    f"{type(criterion).__name__}.scores: {place} needs finite scores of '{kind}' with the shape {size} "
                    f"and has {what}."
                )
    return scores
