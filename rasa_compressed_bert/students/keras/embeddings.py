"""Initial embeddings of the wordpieces of a small student: the teacher's hidden states for each of them alone."""

from __future__ import annotations

import numpy as np

from rasa_compressed_bert.models.encoder import BertEncoder

_BATCH = 256


def encoded_wordpieces(encoder: BertEncoder, *, first: int, last: int) -> np.ndarray:
    """The mean of the last hidden states of each wordpiece with the two special ones (Model2Vec, Minish Lab 2024).

    These contain what pretraining and fine-tuning taught all layers about a wordpiece, unlike the encoder's own table.

    Args:
        encoder: the encoder with the vocabulary.
        first: id of the special wordpiece before a message.
        last: id of the special wordpiece after it.

    Returns:
        One row per wordpiece, `(V, H)`.
    """
    ids = np.arange(encoder.shape.vocab_size, dtype=np.int32)
    messages = np.stack([np.full_like(ids, first), ids, np.full_like(ids, last)], axis=1)  # (V, 3)
    return np.concatenate(
        [
            encoder(messages[start : start + _BATCH], np.ones_like(messages[start : start + _BATCH]))[-1]
            .numpy()
            .mean(axis=1)
            for start in range(0, len(ids), _BATCH)
        ]
    )


def projected(table: np.ndarray, size: int) -> np.ndarray:
    """The principal components of a table, scaled to a root mean square of 1.

    Args:
        table: one row per wordpiece, `(V, H)`.
        size: number of components; if there are fewer, zeros are appended.

    Returns:
        `(V, size)`.
    """
    centred = table - table.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)  # in ascending order of variance
    components = centred @ vectors[:, ::-1][:, :size]
    components /= max(float(np.sqrt(np.mean(np.square(components)))), 1e-12)
    return np.pad(components, ((0, 0), (0, size - components.shape[1]))).astype(np.float32)
