"""The common forward pass of students over wordpieces."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.head_layer import layers_in
from rasa_compressed_bert.models.task_model import FEATURES, Outputs

_BATCH = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)]  # ids and mask, (B, T)


class StudentLayer(tf.keras.layers.Layer):
    """Wordpiece ids to logits, `(B, T) -> (B, C)`: `pooled`, a ReLU layer, and a linear layer per head.

    Args:
        parameters: values by name, including those of `students.keras.parameters.head_parameters`, and those of a
            linear layer for each further head.
        dropout: dropout before both layers of the head in training.
    """

    def __init__(self, parameters: Mapping[str, np.ndarray], *, dropout: Optional[Dropout] = None):
        super().__init__(name=type(self).__name__.lower())
        self.dropout = dropout or Dropout(0.0)
        self.parameters = {name: tf.Variable(value, name=name, dtype=tf.float32) for name, value in parameters.items()}

    @abstractmethod
    def pooled(self, input_ids: tf.Tensor, mask: tf.Tensor, *, training: bool) -> tf.Tensor:
        """One vector per message (B, P), from ids (B, T) and a mask of floats (B, T, 1)."""

    def call(
        self,
        input_ids: tf.Tensor,  # (B, T)
        attention_mask: tf.Tensor,  # (B, T)
        gates: Sequence[Mapping[str, tf.Tensor]] = (),  # not used
        training: bool = False,
    ) -> Outputs:
        """Logits (B, C) of each head, and features (B, P), without hidden states."""
        mask = tf.cast(attention_mask, tf.float32)[:, :, tf.newaxis]
        pooled = self.pooled(input_ids, mask, training=training)
        hidden = tf.nn.relu(self._dense(self.dropout(pooled, training), "dense"))
        dropped = self.dropout(hidden, training)
        logits = {layer.output: self._dense(dropped, layer.name) for layer in layers_in(self.parameters)}
        return Outputs({**logits, FEATURES: hidden}, [])

    @tf.function(input_signature=_BATCH, autograph=False)
    def predict(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """See `TaskModel.predict`."""
        return self(input_ids, attention_mask).heads

    def _dense(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """`x @ kernel + bias`."""
        return tf.matmul(x, self.parameters[f"{name}.kernel"]) + self.parameters[f"{name}.bias"]

    def variables_in_order(self) -> List[tf.Variable]:
        """All trainable variables."""
        return list(self.parameters.values())

    def values(self) -> Dict[str, np.ndarray]:
        """The parameters as arrays."""
        return {name: variable.numpy() for name, variable in self.parameters.items()}

    def assign(self, values: Mapping[str, Any]) -> None:
        """The inverse of `values`."""
        for name, value in values.items():
            self.parameters[name].assign(value)
