"""The intent classifier: encoder, mean of the hidden states, linear layer."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import BertEncoder, Parameters
from rasa_compressed_bert.models.shape import EncoderShape

HEAD = ("classifier.kernel", "classifier.bias")


def new_head(shape: EncoderShape, num_classes: int, rng: np.random.Generator) -> Parameters:
    """Parameters of an untrained head; classes start equal."""
    kernel = rng.normal(0.0, 0.02, (shape.hidden_size, num_classes)).astype(np.float32)
    return {"classifier.kernel": kernel, "classifier.bias": np.zeros(num_classes, np.float32)}


class IntentModel(tf.keras.layers.Layer):
    """Wordpiece ids to logits, `(B, T) -> (B, C)`.

    The mean over the wordpieces is what sentence encoders such as MiniLM were pretrained with, and it was as good as the
    first wordpiece and a pooler for others.

    Args:
        shape: the encoder's widths.
        parameters: of the encoder and of the head.
        dropout: of the encoder and before the linear layer, while training.
    """

    def __init__(self, shape: EncoderShape, parameters: Mapping[str, np.ndarray], *, dropout: Optional[Dropout] = None):
        super().__init__(name="intent_model")
        self.encoder = BertEncoder(shape, parameters, dropout=dropout)
        self.head = {name: tf.Variable(parameters[name], name=name, dtype=tf.float32) for name in HEAD}
        self.num_classes = int(self.head["classifier.bias"].shape[0])

    def call(
        self,
        input_ids: tf.Tensor,  # (B, T)
        attention_mask: tf.Tensor,  # (B, T)
        gates: Sequence[Mapping[str, tf.Tensor]] = (),
        training: bool = False,
    ) -> tf.Tensor:
        """Logits.  # (B, C)"""
        hidden = self.encoder(input_ids, attention_mask, gates=gates, training=training)  # (B, T, H)
        weights = tf.cast(attention_mask, tf.float32)[:, :, tf.newaxis]
        pooled = tf.reduce_sum(hidden * weights, axis=1) / tf.reduce_sum(weights, axis=1)  # (B, H)
        pooled = self.encoder.dropout(pooled, training)
        return tf.matmul(pooled, self.head["classifier.kernel"]) + self.head["classifier.bias"]

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)])
    def predict(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        """Logits, without dropout.  # (B, C)"""
        return self(input_ids, attention_mask)

    def variables_in_order(self) -> List[tf.Variable]:
        """Every variable that is trained."""
        return [*self.encoder.parameters.values(), *self.head.values()]

    def values(self) -> Parameters:
        """The parameters of encoder and head as numbers."""
        return {**self.encoder.values(), **{name: variable.numpy() for name, variable in self.head.items()}}

    def assign(self, values: Mapping[str, Any]) -> None:
        """The inverse of `values`."""
        for name, variable in {**self.encoder.parameters, **self.head}.items():
            variable.assign(values[name])
