"""Gates: for every prunable unit of an encoder a factor, usually 1, by which the unit's activation is multiplied.

A gate that is set to 0 removes its unit; the gradient of the loss with respect to a gate scores its unit
(`compression.importance`). A layer has three kinds of gates, `query_key` (N, K), `value` (N, V) and `intermediate`
(I,); the gate of a head is the row of its value gates. With a pooler, the dictionaries of the layers are followed by
one with the gates of its neurons, `pooler` (P,).
"""

from __future__ import annotations

from typing import Dict, List

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.shape import EncoderShape

LayerGates = Dict[str, np.ndarray]


def open_gates(shape: EncoderShape, pooler_size: int = 0) -> List[LayerGates]:
    """The gates of an encoder and of a pooler, all of them 1."""
    pooler = [{"pooler": np.ones((pooler_size,), np.float32)}] if pooler_size else []
    layers = [
        {
            "query_key": np.ones((layer.num_attention_heads, layer.query_key_size), np.float32),
            "value": np.ones((layer.num_attention_heads, layer.value_size), np.float32),
            "intermediate": np.ones((layer.intermediate_size,), np.float32),
        }
        for layer in shape.layers
    ]
    return layers + pooler


def per_example(gates: List[Dict[str, tf.Variable]], batch_size: tf.Tensor) -> List[Dict[str, tf.Tensor]]:
    """Copies every gate for each example of a batch, so that gradients are per example.  # (B, *gate)"""
    return [
        {
            kind: tf.tile(gate[tf.newaxis], tf.concat([[batch_size], tf.ones(tf.rank(gate), tf.int32)], axis=0))
            for kind, gate in layer.items()
        }
        for layer in gates
    ]
