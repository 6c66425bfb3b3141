"""A BERT with what it is fine-tuned for: intents of the pooled message, tags of its wordpieces, or both."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import BertEncoder, Parameters
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import EncoderShape

CLASSIFIER, TAGGER = ("classifier.kernel", "classifier.bias"), ("tagger.kernel", "tagger.bias")
HEAD = ("pooler.kernel", "pooler.bias", *CLASSIFIER, *TAGGER)
_BATCH = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)]  # ids and mask, (B, T)


class Outputs(NamedTuple):
    """What a model makes of a batch."""

    logits: Optional[tf.Tensor]  # (B, C), of the intents; None without a classifier
    tag_logits: Optional[tf.Tensor]  # (B, T, K); None without a tagger
    states: Sequence[tf.Tensor]  # (B, T, H) after each layer
    features: Optional[tf.Tensor] = None  # (B, P), what the linear layer of the intents multiplies


def forward_pass(
    shape: EncoderShape, parameters: Mapping[str, np.ndarray], *, features: bool = False
) -> Callable[[tf.Tensor, tf.Tensor], List[tf.Tensor]]:
    """Ids and mask to what there are linear layers for, or else to hidden states.

    The outputs are logits of intents, the features that they are made of where asked for, and logits of tags.

    Args:
        shape: the encoder's widths.
        parameters: of the encoder and of its heads, if it has any.
        features: gives the features of the intents' linear layer too.
    """
    if not any(name in parameters for name in HEAD):
        encoder = BertEncoder(shape, parameters)
        return lambda input_ids, attention_mask: [encoder(input_ids, attention_mask)[-1]]
    model = TaskModel(shape, parameters)

    def forward(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> List[tf.Tensor]:
        outputs = model(input_ids, attention_mask)
        wanted = (outputs.logits, outputs.features if features else None, outputs.tag_logits)
        return [output for output in wanted if output is not None]

    return forward


class TaskModel(tf.keras.layers.Layer):
    """Wordpiece ids to logits of intents, `(B, T) -> (B, C)`, and of tags, `(B, T) -> (B, T, K)`.

    Without a pooler, the features of a message are the mean of its hidden states, which sentence encoders such as
    MiniLM were pretrained with; with one, `tanh(h_0 W + b)` of the first wordpiece's hidden state (Devlin et al. 2018).

    Args:
        shape: the encoder's widths.
        parameters: of the encoder and of its heads: `classifier.*` of intents, `tagger.*` of tags, and `pooler.*`.
        dropout: of the encoder and before the linear layers, while training.
        quantizer: of encoder and heads.
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
        self.head = {
            name: tf.Variable(parameters[name], name=name, dtype=tf.float32) for name in HEAD if name in parameters
        }
        self.num_classes, self.num_tags = (
            int(self.head[bias].shape[0]) if bias in self.head else 0 for _, bias in (CLASSIFIER, TAGGER)
        )

    @property
    def features_size(self) -> int:
        """`P`, the features that the linear layer of the intents multiplies."""
        return self.pooler_size or self.encoder.shape.hidden_size

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
    ) -> Outputs:
        """What the heads say, and the hidden states that the encoder gives."""
        states = self.encoder(input_ids, attention_mask, gates=gates, training=training)
        features = (
            self._pool(states[-1], attention_mask) if self.num_classes else None
        )  # (B, P), P = H without a pooler
        logits = self._classify(features, gates, training) if self.num_classes else None
        tag_logits = None
        if self.num_tags:
            tag_logits = self._dense(self.encoder.dropout(states[-1], training), "tagger", attention_mask)
        return Outputs(logits, tag_logits, states, features)

    def _classify(self, features: tf.Tensor, gates: Sequence[Mapping[str, tf.Tensor]], training: bool) -> tf.Tensor:
        if gates and "pooler" in gates[-1]:
            features *= gates[-1]["pooler"]
        return self._dense(self.encoder.dropout(features, training), "classifier")

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
    def predict(
        self, input_ids: tf.Tensor, attention_mask: tf.Tensor
    ) -> Tuple[Optional[tf.Tensor], Optional[tf.Tensor]]:
        """Logits of intents and of tags, without dropout.  # (B, C), (B, T, K)"""
        outputs = self(input_ids, attention_mask)
        return outputs.logits, outputs.tag_logits

    @tf.function(input_signature=_BATCH, autograph=False)
    def features(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        """What the linear layer of the intents sees, without dropout.  # (B, P)"""
        return self._pool(self.encoder(input_ids, attention_mask)[-1], attention_mask)

    @tf.function(input_signature=_BATCH, autograph=False)
    def last_states(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        """What the linear layer of the tags sees, without dropout.  # (B, T, H)"""
        return self.encoder(input_ids, attention_mask)[-1]

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
