"""Quantization-aware training: a quantized forward pass with a straight-through estimator of the gradient.

In every train step (Jacob et al. 2017, arXiv 1712.05877; Bengio et al. 2013, arXiv 1308.3432): quantize the weights,
compute the loss of the quantized network, take its gradient with respect to the unquantized weights, update those.
Code books, smoothing and ranges are fixed before training; only the scales follow the weights.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.compression.quantization import (
    LEVELS,
    POSITION,
    SPARSE,
    Calibration,
    levels_of,
    scale_axis,
    stored_name,
)
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.models.quantizer import Quantizer

_STEPS = 255.0  # from the smallest to the largest 8-bit integer
_HALVES = 2 * LEVELS
_TINY = 1e-12


class _LookUp(NamedTuple):
    """A code book as a table: its values are multiples of a step, so borders between them are at half steps."""

    half_step: float
    nearest: tf.Tensor  # the value nearest to each interval of half a step, (2 * _HALVES,)

    @classmethod
    def of(cls, codebook: np.ndarray) -> _LookUp:
        half_step = float(np.max(np.abs(codebook))) / LEVELS / 2
        middles = (np.arange(-_HALVES, _HALVES) + 0.5) * half_step
        return cls(half_step, tf.constant(codebook[np.searchsorted((codebook[1:] + codebook[:-1]) / 2, middles)]))


class FakeQuantizer(Quantizer):
    """`x + stop_gradient(Q(x) - x)` for matrices, looked-up rows and activations, with the `Q` of serving.

    Args:
        config: the format.
        calibration: code books, smoothing and ranges.
    """

    def __init__(self, config: QuantizationConfig, calibration: Calibration):
        self._config = config
        self._codebooks = {name: _LookUp.of(codebook) for name, codebook in calibration.codebooks.items()}
        self._smoothing = {name: tf.constant(factors) for name, factors in calibration.smoothing.items()}
        self._ranges = dict(calibration.ranges)

    def kernel(self, name: str, kernel: tf.Tensor) -> tf.Tensor:
        factors = self._smoothing.get(stored_name(name).replace(".kernel", ""))
        smoothed = kernel if factors is None else kernel * factors[:, tf.newaxis]
        return self._weights(name, smoothed, statistics_of=smoothed, axis=scale_axis(name, self._config))

    def rows(self, name: str, table: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        if name == POSITION and name not in self._codebooks:
            return rows
        if scale_axis(name, self._config) is None:
            return self._weights(name, rows, statistics_of=table, axis=None)
        return self._weights(name, rows, statistics_of=rows, axis=-1)

    def activation(self, name: str, x: tf.Tensor, attention_mask: Optional[tf.Tensor] = None) -> tf.Tensor:
        if name in self._smoothing:
            x = x / self._smoothing[name]
        if self._config.method == "static_int8":
            low, high = self._ranges[name]
            return tf.quantization.fake_quant_with_min_max_args(x, low, max(high, low + 1e-8), num_bits=8)
        axes = list(range(1, x.shape.rank))  # one scale for each message, as messages are served one by one
        # every range includes 0, so setting padding to 0 gives the range without padding
        seen = x if attention_mask is None else x * tf.cast(attention_mask, x.dtype)[:, :, tf.newaxis]
        low = tf.minimum(tf.reduce_min(seen, axes, keepdims=True), 0.0)
        high = tf.maximum(tf.reduce_max(seen, axes, keepdims=True), 0.0)
        scale = tf.maximum(high - low, _TINY) / _STEPS
        return _straight_through(x, tf.round(x / scale) * scale)

    def _weights(self, name: str, weights: tf.Tensor, *, statistics_of: tf.Tensor, axis: Optional[int]) -> tf.Tensor:
        codebook = self._codebooks.get(stored_name(name))
        if codebook is None:
            largest = tf.reduce_max(tf.abs(statistics_of), axis, keepdims=axis is not None)
            scale = tf.maximum(largest, _TINY) / levels_of(name, self._config)
            return _straight_through(weights, tf.round(weights / scale) * scale)
        size = 1.0 if axis is None else tf.sqrt(tf.reduce_mean(tf.square(statistics_of), axis, keepdims=True))
        halves = tf.floor(weights / tf.maximum(size, _TINY) / codebook.half_step)
        indices = tf.cast(tf.clip_by_value(halves, -_HALVES, _HALVES - 1), tf.int32) + _HALVES
        nearest = tf.gather(codebook.nearest, indices)
        pruned = tf.reduce_mean(tf.cast(statistics_of == 0.0, tf.float32)) > SPARSE
        return _straight_through(weights, tf.where((weights == 0.0) & pruned, 0.0, nearest * size))  # zeros stay


def _straight_through(x: tf.Tensor, quantized: tf.Tensor) -> tf.Tensor:
    return x + tf.stop_gradient(quantized - x)
