"""What a student learns from: labels, a teacher, or both."""

from __future__ import annotations

import tensorflow as tf


def distillation_loss(
    logits: tf.Tensor, classes: tf.Tensor, soft_targets: tf.Tensor, *, alpha: float, temperature: float
) -> tf.Tensor:
    """Loss of each example: labels and the teacher's softened distribution (Hinton et al. 2015, arXiv 1503.02531).

    `alpha CE(y, z) + (1 - alpha) T^2 KL(softmax(z_t / T) || softmax(z / T))`

    Args:
        logits: the student's, `z`, `(B, C)`.
        classes: the labels, `y`, `(B,)`.
        soft_targets: the teacher's logits, `z_t`, `(B, C)`; not looked at where alpha is 1.
        alpha: weight of the labels.
        temperature: `T`; the factor `T^2` keeps the size of the gradient independent of it.

    Returns:
        Losses in nats, `(B,)`.
    """
    hard = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    if alpha == 1.0:
        return hard
    teacher = tf.nn.softmax(soft_targets / temperature)
    entropy = -tf.reduce_sum(teacher * tf.nn.log_softmax(soft_targets / temperature), axis=-1)
    cross = tf.nn.softmax_cross_entropy_with_logits(teacher, logits / temperature)
    return alpha * hard + (1.0 - alpha) * temperature**2 * (cross - entropy)
