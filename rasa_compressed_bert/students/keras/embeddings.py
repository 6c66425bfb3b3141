"""Embeddings of wordpieces that a small student starts from: what the teacher makes of each of them alone."""

from __future__ import annotations

import numpy as np

from rasa_compressed_bert.models.encoder import BertEncoder

_BATCH = 256


def encoded_wordpieces(encoder: BertEncoder, *, first: int, last: int) -> np.ndarray:
    """The mean of the last hidden states of each wordpiece between the two special ones (Model2Vec, Minish Lab 2024).

    These hold what pretraining and fine-tuning made of a wordpiece; the rows of the encoder's own table do not.

    Args:
        encoder: whose vocabulary it is.
        first: id of the wordpiece before a message.
        last: id of the one after it.

    Returns:
        One row a wordpiece, `(V, H)`.
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
    """The principal components of a table, scaled to a standard deviation of 1 on average.

    Args:
        table: one row a wordpiece, `(V, H)`.
        size: columns that are kept; where there are fewer, zeros follow.

    Returns:
        `(V, size)`.
    """
    centred = table - table.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)  # by rising variance
    components = centred @ vectors[:, ::-1][:, :size]
    components /= max(float(np.sqrt(np.mean(np.square(components)))), 1e-12)
    return np.pad(components, ((0, 0), (0, size - components.shape[1]))).astype(np.float32)
