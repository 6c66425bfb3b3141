"""What the loss of an example is: a label's, a teacher's that computes beside the student, or that of soft targets."""

from __future__ import annotations

from typing import NamedTuple, Sequence

import tensorflow as tf

from rasa_compressed_bert.compression.distillation import (
    distillation_loss,
    divergence_loss,
    hidden_state_loss,
    logit_loss,
    probability_loss,
)
from rasa_compressed_bert.config import DistillationConfig, StudentDistillationConfig
from rasa_compressed_bert.models.intent_model import IntentModel


class StepInputs(NamedTuple):
    """What a train step is given."""

    input_ids: tf.Tensor  # (B, T) int32
    attention_mask: tf.Tensor  # (B, T) int32
    classes: tf.Tensor  # (B,) int32; -1 where only a teacher knows
    soft_targets: tf.Tensor  # (B, C), a teacher's logits, or (B, 0)


class Labels:
    """Cross-entropy with the labels, in nats."""

    def losses(self, logits: tf.Tensor, states: Sequence[tf.Tensor], inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch.  # (B,)

        Args:
            logits: the model's, `(B, C)`.
            states: its hidden states, `(B, T, H)` after each layer.
            inputs: what it was given.
        """
        return tf.nn.sparse_softmax_cross_entropy_with_logits(inputs.classes, logits)


class Teacher(Labels):
    """Labels, and the logits and hidden states of a model of the same layers."""

    def __init__(self, model: IntentModel, options: DistillationConfig):
        self._model = model
        self._options = options

    def losses(self, logits: tf.Tensor, states: Sequence[tf.Tensor], inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch, see `Labels.losses`.  # (B,)"""
        options = self._options
        soft_targets, teacher_states = self._model(inputs.input_ids, inputs.attention_mask)
        losses = distillation_loss(
            logits, inputs.classes, soft_targets, alpha=options.alpha, temperature=options.temperature
        )
        return losses + options.hidden_states * hidden_state_loss(states, teacher_states, inputs.attention_mask)


class SoftTargets(Labels):
    """Logits that a teacher gave beforehand, and labels where there are any."""

    def __init__(self, options: StudentDistillationConfig):
        self._options = options

    def losses(self, logits: tf.Tensor, states: Sequence[tf.Tensor], inputs: StepInputs) -> tf.Tensor:
        """Losses of a batch, see `Labels.losses`; without a label the teacher has the whole weight.  # (B,)"""
        options = self._options
        soft = self._distance(logits, inputs.soft_targets)
        if options.alpha == 0.0:
            return soft
        labelled = inputs.classes >= 0
        classes = tf.maximum(inputs.classes, 0)
        hard = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
        return tf.where(labelled, options.alpha * hard + (1.0 - options.alpha) * soft, soft)

    def _distance(self, logits: tf.Tensor, soft_targets: tf.Tensor) -> tf.Tensor:
        options = self._options
        if options.targets == "logits":
            return logit_loss(logits, soft_targets)
        distance = divergence_loss if options.loss == "kl" else probability_loss
        return distance(logits, soft_targets, temperature=options.temperature)
