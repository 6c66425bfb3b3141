"""What the loss of an example is: a label's, a teacher's that computes beside the student, or that of soft targets."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence

import tensorflow as tf

from rasa_compressed_bert.compression.distillation import (
    distillation_loss,
    divergence_loss,
    hidden_state_loss,
    logit_loss,
    over_wordpieces,
    probability_loss,
)
from rasa_compressed_bert.config import DistillationConfig, StudentDistillationConfig
from rasa_compressed_bert.models.task_model import Outputs, TaskModel


class StepInputs(NamedTuple):
    """What a train step is given."""

    input_ids: tf.Tensor  # (B, T) int32
    attention_mask: tf.Tensor  # (B, T) int32
    classes: tf.Tensor  # (B,) int32; -1 where there is none, or only a teacher knows
    tags: tf.Tensor  # (B, T) int32, -1 where there is none; or (B, 0)
    soft_targets: tf.Tensor  # (B, C), a teacher's logits, or (B, 0)


class LabelLoss:
    """Cross-entropy with the labels, in nats: of the intent, and the mean of the wordpieces' tags.

    Args:
        entity_loss_weight: of the tags; the intent's is 1.
    """

    def __init__(self, entity_loss_weight: float = 1.0):
        self._entity_loss_weight = entity_loss_weight

    def losses(self, outputs: Outputs, inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch.  # (B,)

        Args:
            outputs: the model's.
            inputs: what it was given.
        """
        return self._of_labels(outputs, inputs, None)

    def _of_labels(self, outputs: Outputs, inputs: StepInputs, teacher: Optional[Outputs]) -> tf.Tensor:
        losses = []
        if outputs.logits is not None:
            losses.append(self._of_intents(outputs.logits, inputs.classes, teacher and teacher.logits))
        if outputs.tag_logits is not None:
            known = tf.cast(inputs.tags >= 0, tf.float32)
            soft = teacher and teacher.tag_logits
            of_tags = self._distance(outputs.tag_logits, tf.maximum(inputs.tags, 0), soft)
            losses.append(self._entity_loss_weight * over_wordpieces(of_tags, known))
        return tf.add_n(losses)

    def _of_intents(self, logits: tf.Tensor, classes: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """Of logits (B, C) and classes (B,); 0 without a label."""
        known = tf.cast(classes >= 0, tf.float32)
        return known * self._distance(logits, tf.maximum(classes, 0), soft_targets)

    def _distance(self, logits: tf.Tensor, classes: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """Of logits (..., C) and classes (...)."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)


class DistillationLoss(LabelLoss):
    """LabelLoss, and the logits and hidden states of a model of the same layers.

    A message without a label, such as a synthetic one, is learnt from the teacher alone.
    """

    def __init__(self, model: TaskModel, options: DistillationConfig, *, entity_loss_weight: float = 1.0):
        super().__init__(entity_loss_weight)
        self._model = model
        self._options = options

    def losses(self, outputs: Outputs, inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch, see `LabelLoss.losses`.  # (B,)"""
        teacher = self._model(inputs.input_ids, inputs.attention_mask)
        distance = hidden_state_loss(outputs.states, teacher.states, inputs.attention_mask)
        return self._of_labels(outputs, inputs, teacher) + self._options.hidden_states * distance

    def _of_intents(self, logits: tf.Tensor, classes: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        labelled = self._distance(logits, tf.maximum(classes, 0), soft_targets)
        taught = divergence_loss(logits, soft_targets, temperature=self._options.temperature)
        return tf.where(classes >= 0, labelled, taught)

    def _distance(self, logits: tf.Tensor, classes: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        options = self._options
        return distillation_loss(logits, classes, soft_targets, alpha=options.alpha, temperature=options.temperature)


class SoftTargetLoss(LabelLoss):
    """Logits that a teacher gave beforehand, and labels where there are any.

    Args:
        options: of the distances.
        teacher: whose hidden states are matched too; None where only its logits are known.
        layers: those of its layers that the student's are compared with, one for each.
    """

    def __init__(
        self, options: StudentDistillationConfig, *, teacher: Optional[TaskModel] = None, layers: Sequence[int] = ()
    ):
        super().__init__()
        self._options, self._teacher, self._layers = options, teacher, layers

    def losses(self, outputs: Outputs, inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch, see `LabelLoss.losses`; without a label the teacher has the whole weight.  # (B,)"""
        options, logits = self._options, outputs.logits
        losses = self._imitation(logits, inputs.soft_targets)
        if options.alpha != 0.0:
            labelled = inputs.classes >= 0
            classes = tf.maximum(inputs.classes, 0)
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
            losses = tf.where(labelled, options.alpha * hard + (1.0 - options.alpha) * losses, losses)
        if self._teacher is not None:
            states = self._teacher(inputs.input_ids, inputs.attention_mask).states
            chosen = [states[layer] for layer in self._layers]
            losses += options.hidden_states * hidden_state_loss(outputs.states, chosen, inputs.attention_mask)
        return losses

    def _imitation(self, logits: tf.Tensor, soft_targets: tf.Tensor) -> tf.Tensor:
        options = self._options
        if options.targets == "logits":
            return logit_loss(logits, soft_targets)
        distance = divergence_loss if options.loss == "kl" else probability_loss
        return distance(logits, soft_targets, temperature=options.temperature)
