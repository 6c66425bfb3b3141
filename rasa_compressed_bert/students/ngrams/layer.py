"""The smallest student: a sum over the embeddings of wordpieces and of pairs of them (fastText: arXiv 1607.01759).

Pairs share the rows of a table by a hash (`PAIR_FACTOR`); these rows are initialised to zero.
"""

from __future__ import annotations

from typing import Mapping, Optional

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.students.keras.layer import StudentLayer
from rasa_compressed_bert.students.ngrams.hashing import PAIR_FACTOR


class NGrams(StudentLayer):
    """Wordpiece ids to logits, `(B, T) -> (B, C)`.

    Args:
        parameters: see `NGramsStudent.parameters`.
        wordpieces: the tokenizer's id of each row of the wordpiece embeddings, `(V,)`, by which pairs are hashed.
        dropout: dropout before both layers of the head in training.
    """

    def __init__(
        self,
        parameters: Mapping[str, np.ndarray],
        *,
        wordpieces: np.ndarray,
        dropout: Optional[Dropout] = None,
    ):
        super().__init__(parameters, dropout=dropout)
        self._wordpieces = tf.constant(wordpieces, tf.int64)

    def pooled(self, input_ids: tf.Tensor, mask: tf.Tensor, *, training: bool) -> tf.Tensor:
        """The sum of all embeddings, divided by the square root of the number of wordpieces.  # (B, E)"""
        pairs = self.parameters["embeddings.pair"]
        ids = tf.gather(self._wordpieces, input_ids)
        buckets = tf.math.floormod(ids[:, :-1] * PAIR_FACTOR + ids[:, 1:], pairs.shape[0])
        words = tf.reduce_sum(tf.gather(self.parameters["embeddings.word"], input_ids) * mask, axis=1)
        summed = words + tf.reduce_sum(tf.gather(pairs, buckets) * mask[:, 1:], axis=1)  # (B, E)
        return summed / tf.sqrt(tf.reduce_sum(mask, axis=1))
