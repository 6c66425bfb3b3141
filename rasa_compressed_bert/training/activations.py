"""Ranges of activations, for static quantization: matrix products whose inputs are quantized with fixed scales."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.quantizer import Quantizer


class _Observer(Quantizer):
    """Records the smallest and the largest value of each input channel of each matrix product."""

    def __init__(self) -> None:
        self.extremes: Dict[str, tf.Tensor] = {}

    def activation(self, name: str, x: tf.Tensor, attention_mask: Optional[tf.Tensor] = None) -> tf.Tensor:
        rows = tf.reshape(x, [-1, x.shape[-1]])
        self.extremes[name] = tf.stack([tf.reduce_min(rows, axis=0), tf.reduce_max(rows, axis=0)])
        return x


def activation_extremes(
    forward: Callable[[tf.Tensor, tf.Tensor], Any], encoder: BertEncoder, input_ids: Sequence[np.ndarray]
) -> Dict[str, np.ndarray]:
    """The smallest and the largest value of each input channel of each matrix product; the range always includes 0.

    Args:
        forward: the forward pass of a model; takes ids and mask, `(1, T)`.
        encoder: the encoder of that model.
        input_ids: messages, `n` arrays of `(T_i,)`.

    Returns:
        The extremes `(2, rows)` of each matrix, by its stored name without `.kernel`.

    Raises:
        DataError: if there are no messages.
    """
    if not len(input_ids):
        raise DataError(
            "quantization.method static_int8 needs messages to calibrate on, and there are none. Add NLU examples, or "
            "set the method to dynamic_int8."
        )
    observer, before = _Observer(), encoder.quantizer

    @tf.function(input_signature=[tf.TensorSpec([1, None], tf.int32)], autograph=False)
    def observe(ids: tf.Tensor) -> Dict[str, tf.Tensor]:
        forward(ids, tf.ones_like(ids))
        return dict(observer.extremes)

    encoder.quantizer = observer
    try:
        seen = [observe(ids[np.newaxis]) for ids in input_ids]
    finally:
        encoder.quantizer = before
    extremes = {}
    for name in seen[0]:
        low, high = np.stack([message[name].numpy() for message in seen], axis=1)  # (n, rows) each
        extremes[name] = np.stack([np.minimum(low.min(axis=0), 0.0), np.maximum(high.max(axis=0), 0.0)])
    return extremes
