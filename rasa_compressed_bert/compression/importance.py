"""Importance of units: the first-order Taylor score, or the magnitude of their weights.

The gradient of the loss with respect to a unit's gate is activation times gradient, summed over the unit and the
message: to first order, the change of the loss if the unit is removed (Molchanov et al. 2016, arXiv 1611.06440; Michel
et al. 2019, arXiv 1905.10650). Here it is taken for each example and squared before it is summed,

    score(u) = sum_i (dL_i / dg_u)^2,

the empirical Fisher information of the gate; if gradients were averaged over a batch first, they would cancel.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.compression.neuron_pruning import HEADS, INTERMEDIATE, POOLER, QUERY_KEY, VALUE, LayerScores
from rasa_compressed_bert.models.head_layer import layers_on_features
from rasa_compressed_bert.models.shape import EncoderShape


def with_head_gradients(gate_gradients: Sequence[Mapping[str, tf.Tensor]]) -> List[Dict[str, tf.Tensor]]:
    """Adds the gradient of each head, the sum of the gradients of its value dimensions.

    Args:
        gate_gradients: gradients of the summed loss with respect to each example's gates, `(B, *gate)`; one dictionary
            for each layer, and one for a pooler.

    Returns:
        The gradients of all kinds of units, see `LayerScores`.
    """
    return [
        {**layer, HEADS: tf.reduce_sum(layer[VALUE], axis=-1)} if VALUE in layer else {**layer}
        for layer in gate_gradients
    ]


def taylor_scores(gradients: Sequence[Mapping[str, tf.Tensor]]) -> List[Dict[str, tf.Tensor]]:
    """Taylor scores of the units, for one batch; see `LayerScores`.

    Args:
        gradients: see `with_head_gradients`.
    """
    return [
        {kind: tf.reduce_sum(tf.square(gradient), axis=0) for kind, gradient in layer.items()} for layer in gradients
    ]


def magnitude_scores(shape: EncoderShape, parameters: Mapping[str, np.ndarray]) -> List[LayerScores]:
    """`sum w^2` over the weights of each unit (Han et al. 2015, arXiv 1506.02626, rank single weights so)."""
    scores = []
    for index, layer in enumerate(shape.layers):
        energy = {
            component: np.square(np.asarray(parameters[f"layers.{index}.{component}.kernel"], np.float64))
            for component in layer.kernel_shapes(shape.hidden_size)
        }
        heads = layer.num_attention_heads
        query_key = (energy["query"].sum(axis=0) + energy["key"].sum(axis=0)).reshape(heads, layer.query_key_size)
        value = (energy["value"].sum(axis=0) + energy["attention_output"].sum(axis=1)).reshape(heads, layer.value_size)
        scores.append(
            {
                HEADS: query_key.sum(axis=1) + value.sum(axis=1),
                INTERMEDIATE: energy["intermediate"].sum(axis=0) + energy["output"].sum(axis=1),
                QUERY_KEY: query_key,
                VALUE: value,
            }
        )
    if "pooler.kernel" in parameters:
        into, *out = (
            np.square(np.asarray(parameters[name], np.float64))
            for name in ("pooler.kernel", *(layer.kernel for layer in layers_on_features(parameters)))
        )
        scores.append({POOLER: into.sum(axis=0) + sum(energy.sum(axis=1) for energy in out)})
    return scores
