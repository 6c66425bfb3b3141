"""Pruning callbacks of the train step: gates, importance scores and masks, and when they change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Callable, Dict, List, Mapping, Tuple

import tensorflow as tf

from rasa_compressed_bert.compression.importance import with_head_gradients
from rasa_compressed_bert.compression.neuron_pruning import (
    HEADS,
    POOLER,
    UNIT_KINDS,
    Ranking,
    select_neurons,
    select_units,
)
from rasa_compressed_bert.compression.schedules import PruningSchedule, pruning_schedule
from rasa_compressed_bert.compression.shrinking import shrink
from rasa_compressed_bert.compression.weight_pruning import magnitude_mask
from rasa_compressed_bert.config import PruningConfig
from rasa_compressed_bert.models.encoder import BertEncoder, Parameters
from rasa_compressed_bert.models.gates import LayerGates, open_gates, per_example
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.training.criteria import Criterion, checked_scores, criterion_for

Gates = List[Dict[str, tf.Tensor]]
MakeModel = Callable[[EncoderShape, Parameters], TaskModel]


class PruningCallback:
    """Hooks in and around a train step; this base class prunes nothing.

    Args:
        sparsity: the share of the weights that are pruned already, for the progress bar.
    """

    def __init__(self, sparsity: float = 0.0):
        self._sparsity = sparsity

    @property
    def sparsity(self) -> float:
        """The share of the encoder's weights that are pruned."""
        return self._sparsity

    def gates(self, batch_size: tf.Tensor) -> Gates:
        """Called in the train step before the forward pass: each example's gates, by layer; none by default."""
        return []

    def observe(self, gate_gradients: Gates) -> None:
        """Called in the train step after the backward pass, with the gradients of the summed loss for `gates`."""
        return

    def constrain(self) -> None:
        """Called in the train step after the update of the weights."""
        return

    def after_step(self, step: int) -> None:
        """Called after each train step, outside of its graph; `step` counts from 1."""
        return


class FixedMask(PruningCallback):
    """Keeps weights that are zero at zero."""

    def __init__(self, encoder: BertEncoder):
        self._kernels = [encoder.parameters[name] for name in encoder.shape.kernel_names()]
        self._masks = [tf.Variable(tf.cast(kernel != 0, tf.float32), trainable=False) for kernel in self._kernels]

    def constrain(self) -> None:
        for kernel, mask in zip(self._kernels, self._masks):
            kernel.assign(kernel * mask)

    @property
    def sparsity(self) -> float:
        """The share of the encoder's weights that are zero."""
        size = sum(mask.shape.num_elements() for mask in self._masks)
        return 1.0 - sum(float(tf.reduce_sum(mask)) for mask in self._masks) / max(1, size)


class ScheduledPruning(PruningCallback, ABC):
    """Prunes gradually during training, following a schedule."""

    @abstractmethod
    def finish(self, make_model: MakeModel) -> Tuple[TaskModel, PruningCallback]:
        """The pruned model, and the callback for the training after pruning.

        Args:
            make_model: makes a model from a shape and parameters.
        """


class UnitPruning(ScheduledPruning):
    """Closes the gates of the least important units, following a schedule.

    Args:
        model: the model to prune; its matrices keep their size until `finish`.
        schedules: groups of unit kinds that are ranked together, with the schedule of each group's sparsity.
        criterion: scores the importance of units.
    """

    def __init__(self, model: TaskModel, schedules: Mapping[Tuple[str, ...], PruningSchedule], *, criterion: Criterion):
        self._model = model
        self._schedules = dict(schedules)
        self._criterion = criterion
        self._gates = [
            {kind: tf.Variable(gate, trainable=False) for kind, gate in layer.items()}
            for layer in open_gates(model.encoder.shape, model.pooler_size)
        ]

    def gates(self, batch_size: tf.Tensor) -> Gates:
        return per_example(self._gates, batch_size)

    def observe(self, gate_gradients: Gates) -> None:
        self._criterion.observe(with_head_gradients(gate_gradients))

    def after_step(self, step: int) -> None:
        due = {kinds: schedule(tf.constant(step)) for kinds, schedule in self._schedules.items()}
        if not any(bool(should_prune) for should_prune, _ in due.values()):
            return
        scores = checked_scores(self._criterion, self._model, pooler=(POOLER,) in due)
        rankings = [Ranking(kinds, float(sparsity)) for kinds, (_, sparsity) in due.items() if kinds != (POOLER,)]
        gates = select_units(self._model.encoder.shape, scores, rankings)
        if (POOLER,) in due:
            gates.append({POOLER: select_neurons(scores[-1][POOLER], float(due[(POOLER,)][1]))})
        for variables, values in zip(self._gates, gates):
            for kind, value in values.items():
                variables[kind].assign(value)

    def finish(self, make_model: MakeModel) -> Tuple[TaskModel, PruningCallback]:
        """Makes a model without the units whose gates are closed."""
        shape, parameters = shrink(self._model.encoder.shape, self._model.values(), self.final_gates())
        return make_model(shape, parameters), PruningCallback(self.sparsity)

    def final_gates(self) -> List[LayerGates]:
        """The present values of the gates."""
        return [{kind: gate.numpy() for kind, gate in layer.items()} for layer in self._gates]

    @property
    def sparsity(self) -> float:
        """The share of the encoder's weights that belong to units with closed gates."""
        shape = self._model.encoder.shape
        open_units = sum(
            float(gate.sum()) for layer in self.final_gates()[: len(shape.layers)] for gate in layer.values()
        )
        return 1.0 - 2 * shape.hidden_size * open_units / shape.encoder_size()  # a unit is a column and a row


class WeightPruning(FixedMask, ScheduledPruning):
    """Sets the smallest weights of every matrix to zero, following a schedule, and keeps them at zero.

    Args:
        model: the model to prune.
        schedule: the schedule of the sparsity of each matrix.
        pattern: see `compression.weight_pruning.magnitude_mask`.
    """

    def __init__(self, model: TaskModel, schedule: PruningSchedule, *, pattern: str):
        super().__init__(model.encoder)
        self._model, self._schedule, self._pattern = model, schedule, pattern

    def after_step(self, step: int) -> None:
        should_prune, sparsity = self._schedule(tf.constant(step))
        if not bool(should_prune):
            return
        for kernel, mask in zip(self._kernels, self._masks):
            mask.assign(magnitude_mask(kernel.numpy(), float(sparsity), pattern=self._pattern))
            kernel.assign(kernel * mask)

    def finish(self, make_model: MakeModel) -> Tuple[TaskModel, PruningCallback]:
        """Returns the same model, and a callback that keeps its zeros."""
        return self._model, FixedMask(self._model.encoder)


def pruning_for(config: PruningConfig, model: TaskModel, steps_per_epoch: int) -> ScheduledPruning:
    """The callback for the options; unit kinds with a sparsity of their own are ranked apart from the others."""
    if config.method == "weight":
        return WeightPruning(model, pruning_schedule(config, steps_per_epoch), pattern=config.pattern)
    own = {kind: getattr(config, kind) for kind in (*UNIT_KINDS, POOLER) if getattr(config, kind) is not None}
    ranked = tuple(kind for kind in ((HEADS,) if config.method == "head" else UNIT_KINDS) if kind not in own)
    schedules: Dict[Tuple[str, ...], PruningSchedule] = {
        (kind,): pruning_schedule(config, steps_per_epoch, final_sparsity=sparsity) for kind, sparsity in own.items()
    }
    if ranked:
        schedules[ranked] = pruning_schedule(config, steps_per_epoch)
    return UnitPruning(model, schedules, criterion=criterion_for(config.importance, model))
