"""The student of Tang et al. 2019 (arXiv 1903.12136): embeddings, one bidirectional LSTM, a ReLU layer, a linear layer.

The paper classifies the last states of both directions. The maximum of each unit over the whole message
(`pooling: max`; Conneau et al. 2017, arXiv 1705.02364) is more accurate and the default here.
"""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.students.bilstm.parameters import DIRECTIONS, GATES
from rasa_compressed_bert.students.keras.layer import StudentLayer

_Pair = Tuple[tf.Tensor, tf.Tensor]
_FAR_BELOW = -1e9


class BiLstm(StudentLayer):
    """Wordpiece ids to logits, `(B, T) -> (B, C)`.

    Args:
        parameters: see `BiLstmStudent.parameters`.
        pooling: `max` or `last`.
        dropout: dropout of the embeddings and before both layers of the head in training.
    """

    def __init__(
        self, parameters: Mapping[str, np.ndarray], *, pooling: str = "max", dropout: Optional[Dropout] = None
    ):
        super().__init__(parameters, dropout=dropout)
        self.pooling = pooling

    def pooled(self, input_ids: tf.Tensor, mask: tf.Tensor, *, training: bool) -> tf.Tensor:
        """The LSTM's states as one vector, see `StudentLayer.pooled`.  # (B, 2 S)"""
        embedded = self.dropout(tf.gather(self.parameters["embeddings.word"], input_ids), training)  # (B, T, E)
        steps = tf.transpose(mask, [1, 0, 2])  # (T, B, 1)
        states = [self._run(embedded, steps, direction) for direction in DIRECTIONS]
        if self.pooling == "last":  # padding does not change the state, so this is the last one of the message
            return tf.concat([states[0][-1], states[1][0]], axis=-1)
        joined = tf.concat(states, axis=-1) + (1.0 - steps) * _FAR_BELOW  # (T, B, 2 S)
        return tf.reduce_max(joined, axis=0)

    def _run(self, embedded: tf.Tensor, mask: tf.Tensor, direction: str) -> tf.Tensor:
        """The states of one direction, in the order of the wordpieces.  # (T, B, S)"""
        weights, recurrent = (self.parameters[f"{direction}.{name}.kernel"] for name in ("input", "recurrent"))
        inputs = tf.einsum("bte,ef->tbf", embedded, weights) + self.parameters[f"{direction}.bias"]  # (T, B, 4 S)
        zeros = tf.zeros([tf.shape(embedded)[0], recurrent.shape[0]])

        def step(before: _Pair, now: _Pair) -> _Pair:
            state, cell = before
            entering, present = now
            i, o, f, c = tf.split(entering + tf.matmul(state, recurrent), GATES, axis=-1)
            new_cell = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(c)
            new_state = tf.sigmoid(o) * tf.tanh(new_cell)
            return present * new_state + (1.0 - present) * state, present * new_cell + (1.0 - present) * cell

        return tf.scan(step, (inputs, mask), (zeros, zeros), reverse=direction == "backward")[0]
