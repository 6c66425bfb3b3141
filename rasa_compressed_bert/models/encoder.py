"""A Keras BERT encoder whose layers may have different widths and whose units carry gates.

`TFBertModel` cannot have layers of different widths, cannot score units and cannot shrink. This encoder computes the
same (Devlin et al. 2018, arXiv 1810.04805; equal to `TFBertModel` within 1e-5 in a test) from a flat dictionary of
parameters, whose names and shapes are those of `EncoderShape.parameter_shapes`.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.relative_positions import relative_positions
from rasa_compressed_bert.models.shape import POSITION_BIAS, PROJECTION, TOKEN_TYPE, EncoderShape

Parameters = Dict[str, np.ndarray]

_ACTIVATIONS = {
    "gelu": lambda x: tf.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: tf.nn.gelu(x, approximate=True),
    "relu": tf.nn.relu,
}
_MASKED = -1e9


class BertEncoder(tf.keras.layers.Layer):
    """A transformer encoder, from wordpiece ids `(B, T)` to hidden states `(B, T, H)` after each layer.

    Args:
        shape: the widths.
        parameters: the values of all parameters of `shape.parameter_shapes`.
        dropout: applied in training after the embeddings, after both sublayers and to attention probabilities.
        quantizer: applied to matrices and activations in the forward pass.
    """

    def __init__(
        self,
        shape: EncoderShape,
        parameters: Mapping[str, np.ndarray],
        *,
        dropout: Optional[Dropout] = None,
        quantizer: Optional[Quantizer] = None,
    ):
        super().__init__(name="encoder")
        self.shape = shape
        self.dropout = dropout or Dropout(0.0)
        self.quantizer = quantizer or Quantizer()
        self.activation = _ACTIVATIONS[shape.hidden_act]
        self.parameters = {
            name: tf.Variable(parameters[name], name=name, dtype=tf.float32) for name in shape.parameter_shapes()
        }

        if shape.relative_buckets:
            tables = relative_positions(shape.max_position_embeddings, shape.relative_buckets)
            self._relative = [tf.constant(values, tf.int32) for values in tables]

    def call(
        self,
        input_ids: tf.Tensor,  # (B, T)
        attention_mask: tf.Tensor,  # (B, T), 1 for a wordpiece, 0 for padding
        gates: Sequence[Mapping[str, tf.Tensor]] = (),  # one dictionary for each layer, see `models.gates`
        training: bool = False,
    ) -> List[tf.Tensor]:
        """The embeddings, followed by the hidden states after each layer.  # L + 1 times (B, T, H)"""
        padding = 1.0 - tf.cast(attention_mask, tf.float32)
        scores_mask = padding[:, tf.newaxis, tf.newaxis, :] * _MASKED  # (B, 1, 1, T)
        states = [self._embed(input_ids, attention_mask, training=training)]
        for index in range(len(self.shape.layers)):
            gate = gates[index] if gates else {}
            hidden = self._attend(states[-1], attention_mask, scores_mask, index=index, gate=gate, training=training)
            states.append(self._feed_forward(hidden, attention_mask, index=index, gate=gate, training=training))
        return states

    def values(self) -> Parameters:
        """The parameters as NumPy arrays."""
        return {name: variable.numpy() for name, variable in self.parameters.items()}

    def _embed(self, input_ids: tf.Tensor, attention_mask: tf.Tensor, *, training: bool) -> tf.Tensor:
        table = self.parameters["embeddings.word"]
        word = self.quantizer.rows("embeddings.word", table, tf.gather(table, input_ids))  # (B, T, E)
        positions = self.parameters["embeddings.position"]
        position = self.quantizer.rows("embeddings.position", positions, positions[: tf.shape(input_ids)[1]])  # (T, E)
        summed = word + position
        if self.shape.separator is not None:
            summed += self._second_text(input_ids)[:, :, tf.newaxis] * self.parameters[TOKEN_TYPE]
        embedded = self.dropout(self._normalise(summed, "embeddings.norm"), training)
        return embedded if self.shape.embedding_size is None else self._dense(embedded, attention_mask, PROJECTION)

    def _second_text(self, input_ids: tf.Tensor) -> tf.Tensor:
        """BERT's token types: 1 for the wordpieces after the first separator, else 0.  # (B, T)"""
        separators = tf.cast(tf.equal(input_ids, self.shape.separator), tf.int32)
        return tf.cast(tf.minimum(tf.cumsum(separators, axis=1, exclusive=True), 1), tf.float32)

    def _attend(
        self,
        hidden: tf.Tensor,
        attention_mask: tf.Tensor,
        scores_mask: tf.Tensor,
        *,
        index: int,
        gate: Mapping[str, tf.Tensor],
        training: bool,
    ) -> tf.Tensor:
        layer, name = self.shape.layers[index], f"layers.{index}"
        heads = layer.num_attention_heads
        if heads == 0:  # without heads, only the bias of the output is left
            attended = self.parameters[f"{name}.attention_output.bias"]
        else:
            entering = self.quantizer.activation(f"{name}.query_key_value", hidden, attention_mask)
            query = self._split(self._product(entering, f"{name}.query"), heads, layer.query_key_size)  # (B, T, N, K)
            key = self._split(self._product(entering, f"{name}.key"), heads, layer.query_key_size)
            value = self._split(self._product(entering, f"{name}.value"), heads, layer.value_size)  # (B, T, N, V)
            if "query_key" in gate:
                query *= gate["query_key"][:, tf.newaxis]  # (B, 1, N, K)
            scores = tf.einsum("btnk,bsnk->bnts", query, key) / math.sqrt(self.shape.head_size)  # (B, N, T, T)
            if self.shape.relative_buckets:
                scores += self._position_bias(tf.shape(hidden)[1], f"{name}.{POSITION_BIAS}")
            probabilities = self.dropout(tf.nn.softmax(scores + scores_mask), training)
            context = tf.einsum("bnts,bsnv->btnv", probabilities, value)  # (B, T, N, V)
            if "value" in gate:
                context *= gate["value"][:, tf.newaxis]  # (B, 1, N, V)
            context = tf.reshape(context, tf.concat([tf.shape(hidden)[:2], [heads * layer.value_size]], axis=0))
            attended = self.dropout(self._dense(context, attention_mask, f"{name}.attention_output"), training)
        return self._normalise(hidden + attended, f"{name}.attention_norm")

    def _position_bias(self, length: tf.Tensor, name: str) -> tf.Tensor:
        queries, keys, buckets = self._relative
        bucket = tf.gather(buckets, queries[:length, tf.newaxis] + keys[:length])  # (T, T)
        return tf.gather(self.parameters[name], bucket, axis=1)  # (N, T, T)

    def _feed_forward(
        self,
        hidden: tf.Tensor,
        attention_mask: tf.Tensor,
        *,
        index: int,
        gate: Mapping[str, tf.Tensor],
        training: bool,
    ) -> tf.Tensor:
        name = f"layers.{index}"
        if self.shape.layers[index].intermediate_size == 0:
            output = self.parameters[f"{name}.output.bias"]
        else:
            intermediate = self.activation(self._dense(hidden, attention_mask, f"{name}.intermediate"))  # (B, T, I)
            if "intermediate" in gate:
                intermediate *= gate["intermediate"][:, tf.newaxis]  # (B, 1, I)
            output = self.dropout(self._dense(intermediate, attention_mask, f"{name}.output"), training)
        return self._normalise(hidden + output, f"{name}.output_norm")

    def _dense(self, x: tf.Tensor, attention_mask: tf.Tensor, name: str) -> tf.Tensor:
        return self._product(self.quantizer.activation(name, x, attention_mask), name)

    def _product(self, x: tf.Tensor, name: str) -> tf.Tensor:
        kernel = self.quantizer.kernel(f"{name}.kernel", self.parameters[f"{name}.kernel"])
        flat = tf.reshape(x, [-1, kernel.shape[0]])  # one large product is faster than a batch of small ones
        product = tf.nn.bias_add(tf.matmul(flat, kernel), self.parameters[f"{name}.bias"])
        return tf.reshape(product, [_batch_size(x), -1, kernel.shape[1]])

    def _split(self, x: tf.Tensor, heads: int, size: int) -> tf.Tensor:
        return tf.reshape(x, [_batch_size(x), -1, heads, size])

    def _normalise(self, x: tf.Tensor, name: str) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        scale = tf.math.rsqrt(variance + self.shape.layer_norm_eps) * self.parameters[f"{name}.gamma"]
        return (x - mean) * scale + self.parameters[f"{name}.beta"]


def _batch_size(x: tf.Tensor) -> Any:
    """The static batch size if it is known, as for TFLite with single messages, which then prepares a length faster."""
    return x.shape[0] or tf.shape(x)[0]
