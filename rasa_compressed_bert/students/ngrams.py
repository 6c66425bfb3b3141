"""The smallest student: a sum over the embeddings of wordpieces and of pairs of them (fastText: arXiv 1607.01759).

Pairs share the rows of a table by a hash (`config.PAIR_FACTOR`), and have learnt nothing at first.
"""

from __future__ import annotations

from typing import Dict

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.config import PAIR_FACTOR, StudentConfig
from rasa_compressed_bert.students.keras_student import KerasStudent, head_parameters

_DENSE = 256  # units of the ReLU layer


class NGrams(KerasStudent):
    """Wordpiece ids to logits, `(B, T) -> (B, C)`."""

    def pooled(self, input_ids: tf.Tensor, mask: tf.Tensor, *, training: bool) -> tf.Tensor:
        """The sum of all embeddings over the root of their number, see `KerasStudent.pooled`.  # (B, E)"""
        pairs = self.parameters["embeddings.pair"]
        buckets = tf.math.floormod(
            tf.cast(input_ids[:, :-1], tf.int64) * PAIR_FACTOR + tf.cast(input_ids[:, 1:], tf.int64), pairs.shape[0]
        )
        words = tf.reduce_sum(tf.gather(self.parameters["embeddings.word"], input_ids) * mask, axis=1)
        summed = words + tf.reduce_sum(tf.gather(pairs, buckets) * mask[:, 1:], axis=1)  # (B, E)
        return summed / tf.sqrt(tf.reduce_sum(mask, axis=1))


def ngram_parameters(
    table: np.ndarray, options: StudentConfig, *, num_classes: int, seed: int
) -> Dict[str, np.ndarray]:
    """Random parameters around a table of embeddings; see `bilstm.bilstm_parameters`."""
    rng = np.random.default_rng(seed)
    size = table.shape[1]
    return {
        "embeddings.word": table.astype(np.float32),
        "embeddings.pair": np.zeros((options.buckets, size), np.float32),
        **head_parameters(rng, size, _DENSE, num_classes),
    }
