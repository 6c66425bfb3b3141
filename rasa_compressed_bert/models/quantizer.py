"""Where quantization can be put into the forward pass: on matrices, on rows of embeddings, and on activations."""

from __future__ import annotations

from typing import Optional

import tensorflow as tf


class Quantizer:
    """Changes nothing; base of `compression.fake_quantization.FakeQuantizer` and of what observes ranges.

    Names are those of the parameters; activations have the name of the matrix that they enter.
    """

    def kernel(self, name: str, kernel: tf.Tensor) -> tf.Tensor:
        """The matrix that is multiplied with.  # (rows, columns)"""
        return kernel

    def rows(self, name: str, table: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Rows (..., H) that were looked up in a table (V, H)."""
        return rows

    def activation(self, name: str, x: tf.Tensor, attention_mask: Optional[tf.Tensor] = None) -> tf.Tensor:
        """What enters a product.

        Args:
            name: of the matrix that it is multiplied with.
            x: of wordpieces, `(B, T, rows)`, or of messages, `(B, rows)`.
            attention_mask: of wordpieces, 0 for padding, which no range may include: `(B, T)`.
        """
        return x
