"""Computes features of words for other components; runs once for each message."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.tokenization.wordpieces import JOINED, WordpieceTokenizer, Words

__all__ = ["JOINED", "Features", "WordFeaturizer"]


class Features(NamedTuple):
    """Features of a message, float32."""

    words: np.ndarray  # (W, H), one row for each word
    sentence: np.ndarray  # (1, H)


class WordFeaturizer:
    """Tokenizer and engine of one artifact.

    Args:
        artifact: an encoder without a head.
        pooling: the sentence feature: the `mean` of the hidden states of all wordpieces, including the two special ones
            (as in the pretraining of sentence encoders such as MiniLM), or the hidden state of the first one (`cls`).
        num_threads: the number of threads of the engine.
    """

    def __init__(self, artifact: Artifact, *, pooling: str = "mean", num_threads: int = 1):
        self._tokenizer = WordpieceTokenizer(artifact.files[TOKENIZER].decode("utf-8"), artifact.max_length)
        self._engine = open_engine(artifact, num_threads=num_threads)
        self._pooling = pooling

    def encode_words(self, messages: Sequence[Sequence[str]]) -> List[Words]:
        """Encodes messages that are given as words, see `WordpieceTokenizer`; warns of messages that are truncated."""
        return self._tokenizer.encode_words(messages)

    def features(self, words: Words) -> Features:
        """Features of a message, which do not depend on other messages.

        Raises:
            ArtifactError: if the features are not finite numbers.
        """
        (hidden,) = run_message(self._engine, words.input_ids)  # (T, H)
        if not np.isfinite(hidden).all():
            raise ArtifactError("The model's outputs are not finite numbers: its weights are damaged. Train it again.")
        return Features(words.pooled(hidden), self._sentence(hidden))

    def _sentence(self, hidden: np.ndarray) -> np.ndarray:
        return hidden[:1].copy() if self._pooling == "cls" else hidden.mean(axis=0, keepdims=True)
