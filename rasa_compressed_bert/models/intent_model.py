"""The intent classifier: encoder, pooling, linear layer."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import BertEncoder, Parameters
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import EncoderShape

HEAD = ("pooler.kernel", "pooler.bias", "classifier.kernel", "classifier.bias")
_BATCH = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)]  # ids and mask, (B, T)


class IntentModel(tf.keras.layers.Layer):
    """Wordpiece ids to logits, `(B, T) -> (B, C)`.

    Without a pooler, the features of a message are the mean of its hidden states, which sentence encoders such as
    MiniLM were pretrained with; with one, `tanh(h_0 W + b)` of the first wordpiece's hidden state (Devlin et al. 2018).

    Args:
        shape: the encoder's widths.
        parameters: of the encoder and of the head: `classifier.*` and, where there is a pooler, `pooler.*`.
        dropout: of the encoder and before the linear layer, while training.
        quantizer: of encoder and head.
    """

    def __init__(
        self,
        shape: EncoderShape,
        parameters: Mapping[str, np.ndarray],
        *,
        dropout: Optional[Dropout] = None,
        quantizer: Optional[Quantizer] = None,
    ):
        super().__init__(name="intent_model")
        self.encoder = BertEncoder(shape, parameters, dropout=dropout, quantizer=quantizer)
        self.head = {
            name: tf.Variable(parameters[name], name=name, dtype=tf.float32) for name in HEAD if name in parameters
        }
        self.num_classes = int(self.head["classifier.bias"].shape[0])

    @property
    def pooler_size(self) -> int:
        """Neurons of the pooler; 0 where features are a mean."""
        return int(self.head["pooler.bias"].shape[0]) if "pooler.bias" in self.head else 0

    def call(
        self,
        input_ids: tf.Tensor,  # (B, T)
        attention_mask: tf.Tensor,  # (B, T)
        gates: Sequence[Mapping[str, tf.Tensor]] = (),  # of each layer and, last, of the pooler
        training: bool = False,
    ) -> Tuple[tf.Tensor, List[tf.Tensor]]:
        """Logits (B, C) and the hidden states (B, T, H) that the encoder gives."""
        states = self.encoder(input_ids, attention_mask, gates=gates, training=training)
        features = self._pool(states[-1], attention_mask)  # (B, P), P = H without a pooler
        if gates and "pooler" in gates[-1]:
            features *= gates[-1]["pooler"]
        features = self.encoder.dropout(features, training)
        return self._dense(features, "classifier"), states

    def _pool(self, hidden: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        if self.pooler_size:
            return tf.tanh(self._dense(hidden[:, 0], "pooler"))
        weights = tf.cast(attention_mask, tf.float32)[:, :, tf.newaxis]
        return tf.reduce_sum(hidden * weights, axis=1) / tf.reduce_sum(weights, axis=1)

    def _dense(self, x: tf.Tensor, name: str) -> tf.Tensor:
        quantizer = self.encoder.quantizer
        kernel = quantizer.kernel(f"{name}.kernel", self.head[f"{name}.kernel"])
        return tf.matmul(quantizer.activation(name, x), kernel) + self.head[f"{name}.bias"]

    @tf.function(input_signature=_BATCH)
    def predict(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        """Logits, without dropout.  # (B, C)"""
        return self(input_ids, attention_mask)[0]

    @tf.function(input_signature=_BATCH)
    def features(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        """What the linear layer sees, without dropout.  # (B, P)"""
        return self._pool(self.encoder(input_ids, attention_mask)[-1], attention_mask)

    def variables_in_order(self) -> List[tf.Variable]:
        """Every variable that is trained."""
        return [*self.encoder.parameters.values(), *self.head.values()]

    def values(self) -> Parameters:
        """The parameters of encoder and head as numbers."""
        return {**self.encoder.values(), **{name: variable.numpy() for name, variable in self.head.items()}}

    def assign(self, values: Mapping[str, Any]) -> None:
        """The inverse of `values`; names that are left out keep their values."""
        for name, variable in {**self.encoder.parameters, **self.head}.items():
            if name in values:
                variable.assign(values[name])
