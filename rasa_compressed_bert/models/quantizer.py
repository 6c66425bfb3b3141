"""Hooks for quantization in the forward pass: for matrices, for rows of embeddings, and for activations."""

from __future__ import annotations

from typing import Optional

import tensorflow as tf


class Quantizer:
    """Base class of `compression.fake_quantization.FakeQuantizer` and of the observer of ranges; changes nothing.

    Names are those of parameters; an activation has the name of the matrix by which it is multiplied.
    """

    def kernel(self, name: str, kernel: tf.Tensor) -> tf.Tensor:
        """The matrix to use in a product.  # (rows, columns)"""
        return kernel

    def rows(self, name: str, table: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """The rows (..., H) to use, which were looked up in a table (V, H)."""
        return rows

    def activation(self, name: str, x: tf.Tensor, attention_mask: Optional[tf.Tensor] = None) -> tf.Tensor:
        """The activation to use as the input of a product.

        Args:
            name: the name of the matrix by which it is multiplied, without `.kernel`.
            x: activations of wordpieces, `(B, T, rows)`, or of messages, `(B, rows)`.
            attention_mask: for wordpieces, `(B, T)`; 0 for padding, which ranges must not include.
        """
        return x
