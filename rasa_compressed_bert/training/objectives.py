"""Training objectives: label loss, distillation from a teacher that runs in each step, and loss of soft targets."""

from __future__ import annotations

from typing import List, Mapping, NamedTuple, Optional, Protocol, Sequence

import tensorflow as tf

from rasa_compressed_bert.compression.distillation import (
    distillation_loss,
    divergence_loss,
    hidden_state_loss,
    logit_loss,
    probability_loss,
)
from rasa_compressed_bert.config import DistillationConfig, StudentDistillationConfig
from rasa_compressed_bert.models.task_model import Outputs, TaskModel
from rasa_compressed_bert.training.batches import soft_targets_of
from rasa_compressed_bert.training.head import Head


class StepInputs(NamedTuple):
    """The inputs of a train step.

    Attributes:
        input_ids: `(B, T)` int32.
        attention_mask: `(B, T)` int32.
        labels: labels by the name of the head that learns them, int32, -1 where there is none; and soft targets,
            `(B, C)`, see `batches.soft_targets_of`.
    """

    input_ids: tf.Tensor
    attention_mask: tf.Tensor
    labels: Mapping[str, tf.Tensor]


class Objective(Protocol):
    """What a train step minimises."""

    def losses(self, outputs: Outputs, inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch.  # (B,)"""


class LabelLoss:
    """The sum of the losses of the heads: cross-entropy with the labels, in nats.

    Args:
        heads: the heads of the model.
    """

    def __init__(self, heads: Sequence[Head]):
        self._heads = heads

    def losses(self, outputs: Outputs, inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch.  # (B,)

        Args:
            outputs: the outputs of the model.
            inputs: the inputs of the step.
        """
        return self._of_heads(outputs, inputs, {})

    def _of_heads(self, outputs: Outputs, inputs: StepInputs, soft_targets: Mapping[str, tf.Tensor]) -> tf.Tensor:
        losses = []
        for head in self._heads:
            logits, labels = outputs.heads[head.layer.output], inputs.labels[head.name]
            losses.append(head.losses(logits, labels, self, soft_targets.get(head.layer.output)))
        return tf.add_n(losses)

    def labelled(self, logits: tf.Tensor, labels: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """The cross-entropy of logits (..., C) with labels (...); soft targets are not used.  # (...)"""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def unlabelled(self, logits: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """Zero: without a teacher, nothing is learnt from messages without a label.  # (B,)"""
        return tf.zeros_like(logits[..., 0])


class DistillationLoss(LabelLoss):
    """`LabelLoss`, and the distances to the logits and hidden states of a teacher with the same layers, or more.

    A message without a label, such as a synthetic one, is learnt from the teacher alone.

    Args:
        model: the teacher.
        options: the weights and the temperature.
        heads: the heads of both models.
        layers: the layers of the teacher that the student has; None if it has all. The inputs of each of these layers
            are compared, and the outputs of the last layer of each model.
    """

    def __init__(
        self,
        model: TaskModel,
        options: DistillationConfig,
        heads: Sequence[Head],
        *,
        layers: Optional[Sequence[int]] = None,
    ):
        super().__init__(heads)
        self._model = model
        self._options = options
        self._layers = layers

    def losses(self, outputs: Outputs, inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch, see `LabelLoss.losses`.  # (B,)"""
        teacher = self._model(inputs.input_ids, inputs.attention_mask)
        states = teacher.states
        if self._layers is not None:
            states = _compared(states, self._layers)
        distance = hidden_state_loss(outputs.states, states, inputs.attention_mask)
        return self._of_heads(outputs, inputs, teacher.heads) + self._options.hidden_states * distance

    def labelled(self, logits: tf.Tensor, labels: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """See `compression.distillation.distillation_loss`."""
        options = self._options
        return distillation_loss(logits, labels, soft_targets, alpha=options.alpha, temperature=options.temperature)

    def unlabelled(self, logits: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """The divergence from the teacher.  # (B,)"""
        return divergence_loss(logits, soft_targets, temperature=self._options.temperature)


def objective_for(
    heads: Sequence[Head],
    options: DistillationConfig,
    teacher: Optional[TaskModel],
    *,
    layers: Optional[Sequence[int]] = None,
) -> LabelLoss:
    """The objective of a stage of training, with or without a teacher; for `layers`, see `DistillationLoss`."""
    return DistillationLoss(teacher, options, heads, layers=layers) if teacher else LabelLoss(heads)


def _compared(states: Sequence[tf.Tensor], layers: Sequence[int]) -> List[tf.Tensor]:
    """Those of a teacher's hidden states with which a student is compared that has some of its layers."""
    return [*(states[layer] for layer in layers), states[-1]]


class SoftTargetLoss:
    """The distance to logits that a teacher computed beforehand, and the cross-entropy with labels where there are any.

    Args:
        heads: heads that label whole messages.
        options: the kind of distance, the weights and the temperature.
        teacher: a model whose hidden states are matched too; None matches only its logits.
        layers: the layers of the teacher that the student was initialised from; see `DistillationLoss`.
    """

    def __init__(
        self,
        heads: Sequence[Head],
        options: StudentDistillationConfig,
        *,
        teacher: Optional[TaskModel] = None,
        layers: Sequence[int] = (),
    ):
        self._heads, self._options, self._teacher, self._layers = heads, options, teacher, layers

    def losses(self, outputs: Outputs, inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch, see `LabelLoss.losses`; for messages without a label, `alpha` is 0.  # (B,)"""
        options, losses = self._options, tf.add_n([self._of_head(head, outputs, inputs) for head in self._heads])
        if self._teacher is not None:
            chosen = _compared(self._teacher(inputs.input_ids, inputs.attention_mask).states, self._layers)
            losses += options.hidden_states * hidden_state_loss(outputs.states, chosen, inputs.attention_mask)
        return losses

    def _of_head(self, head: Head, outputs: Outputs, inputs: StepInputs) -> tf.Tensor:
        classes, alpha = inputs.labels[head.name], self._options.alpha
        logits = head.within(outputs.heads[head.layer.output], classes)
        losses = self._imitation(logits, head.within(inputs.labels[soft_targets_of(head.name)], classes))
        if alpha == 0.0:
            return losses
        hard = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(classes, 0), logits)
        return tf.where(classes >= 0, alpha * hard + (1.0 - alpha) * losses, losses)

    def _imitation(self, logits: tf.Tensor, soft_targets: tf.Tensor) -> tf.Tensor:
        options = self._options
        if options.targets == "logits":
            return logit_loss(logits, soft_targets)
        distance = divergence_loss if options.loss == "kl" else probability_loss
        return distance(logits, soft_targets, temperature=options.temperature)
