"""Texts to intents, entities and vectors of words, in one forward pass: what a spaCy pipeline asks for."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.runtime.engines import run_message
from rasa_compressed_bert.runtime.message_predictor import NOTHING, MessagePredictor, Prediction
from rasa_compressed_bert.tokenization.pieces import Pieces


class Document(NamedTuple):
    """Predictions for a text, and its vectors, float32."""

    prediction: Prediction
    words: np.ndarray  # (W, H), one row a word
    vector: np.ndarray  # (H,), their mean


class DocumentPredictor(MessagePredictor):
    """A `MessagePredictor` that gives vectors too.

    The vector of a text is what the linear layer of the intents reads: the mean of the hidden states of all wordpieces,
    the two special ones included, or, of a model with `pooling: cls`, the first one's. Libraries that read vectors of
    words alone, Rasa's `SpacyFeaturizer` among them, take the mean over words instead, which is another one, and loses
    what fine-tuning taught the model. So words are moved, all by the same distance, until the two means are one:

        w_i = h_i + v - mean_j h_j

    where h_i is the mean of the hidden states of a word's wordpieces, and v the vector of the text. A word without a
    wordpiece gets v.

    Args:
        artifact: with hidden states as its last output, see `export.documents`.
        num_threads: of the engine.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        super().__init__(artifact, num_threads=num_threads, with_pieces=True)
        self.size: int = artifact.manifest["encoder"]["hidden_size"]
        self._first_state = artifact.manifest["pooling"] == "cls"

    def predict_document(self, text: str, words: Sequence[Tuple[int, int]]) -> Document:
        """The intents, entities and vectors of a text.

        Args:
            text: of the document.
            words: where its words begin and end; words of blanks may be left out.
        """
        pieces = self._tokenizer.encode(text)
        if not len(pieces.starts):
            return Document(NOTHING, np.zeros((len(words), self.size), np.float32), np.zeros(self.size, np.float32))
        *outputs, states = run_message(self._engine, pieces.input_ids)
        return Document(self._decoded(text, pieces, outputs), *self._vectors(states, pieces, words))

    def _vectors(
        self, states: np.ndarray, pieces: Pieces, words: Sequence[Tuple[int, int]]
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Of words (W, H) and of the text (H,), from the hidden states of all wordpieces (T + 2, H)."""
        vector = states[0] if self._first_state else states.mean(axis=0)
        if not words:
            return np.zeros((0, self.size), np.float32), vector
        begins, ends = np.array(words).T
        first, last = np.searchsorted(pieces.ends, begins, side="right"), np.searchsorted(pieces.starts, ends)
        seen = np.flatnonzero(first < last)  # words with a wordpiece: a long document has many more
        places = np.arange(len(pieces.starts))
        members = (places >= first[seen, np.newaxis]) & (places < last[seen, np.newaxis])  # (words that are seen, T)
        rows = np.tile(vector, (len(words), 1))
        rows[seen] = members.astype(np.float32) @ states[1:-1] / members.sum(axis=1, keepdims=True).astype(np.float32)
        return rows + (vector - rows.mean(axis=0)), vector
