"""Predicts intents, entities and word vectors of a text in one forward pass, for spaCy pipelines."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.runtime.engines import run_message
from rasa_compressed_bert.runtime.message_predictor import NOTHING, MessagePredictor, Prediction
from rasa_compressed_bert.tokenization.pieces import Pieces


class Document(NamedTuple):
    """The prediction for a text, and its vectors, float32."""

    prediction: Prediction
    words: np.ndarray  # (W, H), one row for each word
    vector: np.ndarray  # (H,), their mean


class DocumentPredictor(MessagePredictor):
    """A `MessagePredictor` that also computes vectors.

    The vector `v` of a text is the mean of the hidden states of all wordpieces, including the two special ones, or, for
    a model with `pooling: cls`, the hidden state of the first one: the same pooling as for the intents. Libraries that
    read only word vectors, such as Rasa's `SpacyFeaturizer`, take the mean over words instead, which differs from `v`
    and loses what the model has learnt in fine-tuning. So all word vectors are shifted such that their mean is `v`:

        w_i = h_i + v - mean_j h_j

    where h_i is the mean of the hidden states of a word's wordpieces, or v for a word without a wordpiece.

    Args:
        artifact: a model whose last output is the hidden states, see `export.documents`.
        num_threads: the number of threads of the engine.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        super().__init__(artifact, num_threads=num_threads, with_pieces=True)
        self.size: int = artifact.manifest["encoder"]["hidden_size"]
        self._first_state = artifact.manifest["pooling"] == "cls"

    def predict_document(self, text: str, words: Sequence[Tuple[int, int]]) -> Document:
        """The intents, entities and vectors of a text.

        Args:
            text: the text of the document.
            words: the start and the end of each word; words of whitespace may be left out.
        """
        pieces = self._tokenizer.encode(text)
        if not len(pieces.starts):
            return Document(NOTHING, np.zeros((len(words), self.size), np.float32), np.zeros(self.size, np.float32))
        *outputs, states = run_message(self._engine, pieces.input_ids)
        is_rejected = self._is_rejected(pieces.input_ids)
        prediction = self._rejected if is_rejected else self._decoded(text, pieces, outputs)
        return Document(prediction, *self._vectors(states, pieces, words))

    def _vectors(
        self, states: np.ndarray, pieces: Pieces, words: Sequence[Tuple[int, int]]
    ) -> Tuple[np.ndarray, np.ndarray]:
        """The vectors of words (W, H) and of the text (H,), from the hidden states of all wordpieces (T + 2, H)."""
        vector = states[0] if self._first_state else states.mean(axis=0)
        if not words:
            return np.zeros((0, self.size), np.float32), vector
        begins, ends = np.array(words).T
        first, last = np.searchsorted(pieces.ends, begins, side="right"), np.searchsorted(pieces.starts, ends)
        seen = np.flatnonzero(first < last)  # words with a wordpiece; in a truncated document, many have none
        places = np.arange(len(pieces.starts))
        members = (places >= first[seen, np.newaxis]) & (places < last[seen, np.newaxis])  # (words with a wordpiece, T)
        own = members.astype(np.float32) @ states[1:-1] / members.sum(axis=1, keepdims=True).astype(np.float32)
        # the rows of the other words are `vector`, so no mean over all rows is needed, and no copy of them
        shift = (len(seen) * vector - own.sum(axis=0)) / np.float32(len(words))
        rows = np.empty((len(words), len(vector)), np.float32)
        rows[:] = vector + shift
        rows[seen] = own + shift
        return rows, vector
