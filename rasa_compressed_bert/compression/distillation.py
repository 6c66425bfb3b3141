"""Distillation losses: of labels, and of a teacher's logits, probabilities and hidden states."""

from __future__ import annotations

from typing import Sequence

import tensorflow as tf


def distillation_loss(
    logits: tf.Tensor, classes: tf.Tensor, soft_targets: tf.Tensor, *, alpha: float, temperature: float
) -> tf.Tensor:
    """Loss of each example or wordpiece: label and softened distribution of the teacher (Hinton et al. 2015).

    Source: arXiv 1503.02531.

    `alpha CE(y, z) + (1 - alpha) T^2 KL(softmax(z_t / T) || softmax(z / T))`

    Args:
        logits: the student's logits, `z`, `(..., C)`.
        classes: the labels, `y`, `(...)`.
        soft_targets: the teacher's logits, `z_t`, `(..., C)`; not used if alpha is 1.
        alpha: the weight of the labels.
        temperature: `T`; the factor `T^2` makes the size of the gradient independent of it.

    Returns:
        Losses in nats, `(...)`.
    """
    hard = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    if alpha == 1.0:
        return hard
    return alpha * hard + (1.0 - alpha) * divergence_loss(logits, soft_targets, temperature=temperature)


def divergence_loss(logits: tf.Tensor, soft_targets: tf.Tensor, *, temperature: float) -> tf.Tensor:
    """`T^2 KL(softmax(z_t / T) || softmax(z / T))` of each example, in nats (Hinton et al. 2015).

    Args:
        logits: the student's logits, `z`, `(B, C)`.
        soft_targets: the teacher's logits, `z_t`, `(B, C)`.
        temperature: `T`.
    """
    teacher = tf.nn.softmax(soft_targets / temperature)
    entropy = -tf.reduce_sum(teacher * tf.nn.log_softmax(soft_targets / temperature), axis=-1)
    cross = tf.nn.softmax_cross_entropy_with_logits(teacher, logits / temperature)
    return temperature**2 * (cross - entropy)


def logit_loss(logits: tf.Tensor, soft_targets: tf.Tensor) -> tf.Tensor:
    """`||z_t - z||^2 / C` of each example, the loss of Tang et al. 2019 (arXiv 1903.12136) as a mean over classes.

    Args:
        logits: the student's logits, `z`, `(B, C)`.
        soft_targets: the teacher's logits, `z_t`, `(B, C)`.
    """
    return tf.reduce_mean(tf.square(soft_targets - logits), axis=-1)


def probability_loss(logits: tf.Tensor, soft_targets: tf.Tensor, *, temperature: float) -> tf.Tensor:
    """`T^2 ||softmax(z_t / T) - softmax(z / T)||^2` of each example (the loss of NLP Town's students, 2019).

    Args:
        logits: the student's logits, `z`, `(B, C)`.
        soft_targets: the teacher's logits, `z_t`, `(B, C)`.
        temperature: `T`.
    """
    difference = tf.nn.softmax(soft_targets / temperature) - tf.nn.softmax(logits / temperature)
    return temperature**2 * tf.reduce_sum(tf.square(difference), axis=-1)


def over_wordpieces(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The mean loss of each example's wordpieces; 0 for an example without any.  # (B,)

    Args:
        losses: the loss of each wordpiece, `(B, T)`.
        weights: 1 for wordpieces that count, else 0, `(B, T)`.
    """
    return tf.reduce_sum(losses * weights, axis=1) / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)


def hidden_state_loss(
    student: Sequence[tf.Tensor], teacher: Sequence[tf.Tensor], attention_mask: tf.Tensor
) -> tf.Tensor:
    """The distance of each example's hidden states from the teacher's (after Jiao et al. 2020, arXiv 1909.10351).

    `mean_l ||H_l - H_l^t||^2 / ||H_l^t||^2`, a relative distance, so that one weight fits every model.

    Args:
        student: the student's hidden states of each layer, `(B, T, H)`.
        teacher: the teacher's hidden states, of the same number and width.
        attention_mask: 1 for a wordpiece, `(B, T)`.

    Returns:
        Losses, 0 for equal hidden states, `(B,)`.
    """
    weights = tf.cast(attention_mask, tf.float32)[:, :, tf.newaxis]
    distances = [
        tf.reduce_sum(tf.square(ours - theirs) * weights, axis=[1, 2])
        / tf.reduce_sum(tf.square(theirs) * weights, axis=[1, 2])
        for ours, theirs in zip(student, teacher)
    ]
    return tf.add_n(distances) / len(distances)
