"""Criteria of structured pruning: the importance of each unit, accumulated during training.

A new criterion is a class with `observe` and `scores`, registered with `register_criterion` under a value of the option
`pruning.importance`.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Protocol, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.compression.importance import magnitude_scores, taylor_scores
from rasa_compressed_bert.compression.neuron_pruning import LayerScores
from rasa_compressed_bert.config.pruning import IMPORTANCE
from rasa_compressed_bert.models.task_model import TaskModel

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
        """Called between train steps: the scores of all units since the last call; the lowest are pruned first."""


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
