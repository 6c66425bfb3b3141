"""A BERT with heads: linear layers on the features of the message, on its wordpieces, or on both."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import BertEncoder, Parameters
from rasa_compressed_bert.models.head_layer import LAYERS, layers_in
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import POOLER, EncoderShape

FEATURES = "features"
"""The name of the output with the features of a message."""
_BATCH = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)]  # ids and mask, (B, T)


class Outputs(NamedTuple):
    """The outputs of a model for a batch.

    Attributes:
        heads: the logits of each head, `(B, C)` or `(B, T, C)`, by the name of its output; and, if a head reads them,
            the `features` of the message, `(B, P)`.
        states: the embeddings, followed by the hidden states after each layer, `(B, T, H)`.
    """

    heads: Mapping[str, tf.Tensor]
    states: Sequence[tf.Tensor]


def head_parameters(parameters: Mapping[str, Any]) -> List[str]:
    """The names of the parameters that belong to the pooler and to heads."""
    names = [*POOLER, *(name for layer in LAYERS for name in (layer.kernel, layer.bias))]
    return [name for name in names if name in parameters]


def forward_pass(
    shape: EncoderShape, parameters: Mapping[str, np.ndarray], *, features: bool = False
) -> Callable[[tf.Tensor, tf.Tensor], List[tf.Tensor]]:
    """A function from ids and mask to the outputs of the heads or, without any head, to the last hidden states.

    Args:
        shape: the widths of the encoder.
        parameters: the parameters of the encoder and of its heads.
        features: returns the features of the message too, if a head reads them.
    """
    if not layers_in(parameters):
        encoder = BertEncoder(shape, parameters)
        return lambda input_ids, attention_mask: [encoder(input_ids, attention_mask)[-1]]
    model = TaskModel(shape, parameters)

    def forward(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> List[tf.Tensor]:
        outputs = model(input_ids, attention_mask).heads
        return [output for name, output in outputs.items() if features or name != FEATURES]

    return forward


class TaskModel(tf.keras.layers.Layer):
    """An encoder with heads, from wordpiece ids `(B, T)` to `Outputs`.

    Without a pooler, the features of a message are the mean of its hidden states, as in the pretraining of sentence
    encoders such as MiniLM; with one, they are `tanh(h_0 W + b)` of the first hidden state (Devlin et al. 2018).

    Args:
        shape: the widths of the encoder.
        parameters: the parameters of the encoder and of its heads, see `models.head_layer`, and `pooler.*`.
        dropout: applied in training within the encoder and before the linear layers.
        quantizer: applied in the encoder and in the heads.
    """

    def __init__(
        self,
        shape: EncoderShape,
        parameters: Mapping[str, np.ndarray],
        *,
        dropout: Optional[Dropout] = None,
        quantizer: Optional[Quantizer] = None,
    ):
        super().__init__(name="task_model")
        self.encoder = BertEncoder(shape, parameters, dropout=dropout, quantizer=quantizer)
        self.head_layers = tuple(layers_in(parameters))
        self.head = {
            name: tf.Variable(parameters[name], name=name, dtype=tf.float32) for name in head_parameters(parameters)
        }

    @property
    def features_size(self) -> int:
        """`P`, the width of the features of a message."""
        return self.pooler_size or self.encoder.shape.hidden_size

    @property
    def pooler_size(self) -> int:
        """The number of neurons of the pooler; 0 without one, when features are a mean."""
        return int(self.head["pooler.bias"].shape[0]) if "pooler.bias" in self.head else 0

    def call(
        self,
        input_ids: tf.Tensor,  # (B, T)
        attention_mask: tf.Tensor,  # (B, T)
        gates: Sequence[Mapping[str, tf.Tensor]] = (),  # of each layer and, last, of the pooler
        training: bool = False,
    ) -> Outputs:
        """The outputs of the heads, and the hidden states of the encoder."""
        states = self.encoder(input_ids, attention_mask, gates=gates, training=training)
        outputs: Dict[str, tf.Tensor] = {}
        features = gated = None
        if not all(layer.per_wordpiece for layer in self.head_layers):
            features = gated = self._pool(states[-1], attention_mask)  # (B, P), P = H without a pooler
            if gates and "pooler" in gates[-1]:
                gated = features * gates[-1]["pooler"]
        for layer in self.head_layers:
            x = self.encoder.dropout(layer.select(layer.hidden(states), gated, attention_mask), training)
            mask = attention_mask if layer.per_wordpiece else None
            outputs[layer.output] = self._dense(x, layer.name, mask)
            if not layer.per_wordpiece:
                outputs.setdefault(FEATURES, features)
        return Outputs(outputs, states)

    def _pool(self, hidden: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        if self.pooler_size:
            return tf.tanh(self._dense(hidden[:, 0], "pooler"))
        weights = tf.cast(attention_mask, tf.float32)[:, :, tf.newaxis]
        return tf.reduce_sum(hidden * weights, axis=1) / tf.reduce_sum(weights, axis=1)

    def _dense(self, x: tf.Tensor, name: str, attention_mask: Optional[tf.Tensor] = None) -> tf.Tensor:
        quantizer = self.encoder.quantizer
        kernel = quantizer.kernel(f"{name}.kernel", self.head[f"{name}.kernel"])
        return tf.matmul(quantizer.activation(name, x, attention_mask), kernel) + self.head[f"{name}.bias"]

    @tf.function(input_signature=_BATCH, autograph=False)
    def predict(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """The outputs of the heads without dropout, see `Outputs.heads`."""
        return self(input_ids, attention_mask).heads

    @tf.function(input_signature=_BATCH, autograph=False)
    def head_inputs(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """The inputs of each head's linear layer, by the layer's name, and the features of the message."""
        states = self.encoder(input_ids, attention_mask)
        features = self._pool(states[-1], attention_mask)
        inputs = {
            layer.name: layer.select(layer.hidden(states), features, attention_mask) for layer in self.head_layers
        }
        return {**inputs, FEATURES: features}

    def variables_in_order(self) -> List[tf.Variable]:
        """All trainable variables."""
        return [*self.encoder.parameters.values(), *self.head.values()]

    def values(self) -> Parameters:
        """The parameters of the encoder and of the heads as NumPy arrays."""
        return {**self.encoder.values(), **{name: variable.numpy() for name, variable in self.head.items()}}

    def assign(self, values: Mapping[str, Any]) -> None:
        """The inverse of `values`; names that are left out keep their values."""
        for name, variable in {**self.encoder.parameters, **self.head}.items():
            if name in values:
                variable.assign(values[name])
