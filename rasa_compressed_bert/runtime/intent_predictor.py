"""Text to a ranking of intents: what runs once per message."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.runtime.engines import open_engine, padded
from rasa_compressed_bert.runtime.ranking import FEATURES, LOGITS, IntentRanker, Ranking, outputs_of
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer


class IntentPredictor:
    """Tokenizer, engine and confidences of one artifact.

    Args:
        artifact: of an intent classifier.
        num_threads: of the engine.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        self._engine = open_engine(artifact, num_threads=num_threads)
        self._outputs = outputs_of(artifact.manifest)
        self._ranker = IntentRanker(artifact)
        self._tokenizer = WordpieceTokenizer(artifact.files[TOKENIZER].decode("utf-8"), artifact.manifest["max_length"])

    @property
    def labels(self) -> List[str]:
        """The intents, in the order of the logits."""
        return self._ranker.labels

    def predict(self, text: str) -> Ranking:
        """All intents with their confidences, best first; empty for a text without any wordpiece."""
        input_ids = self._tokenizer.encode(text)[np.newaxis]  # (1, T)
        if input_ids.shape[1] <= 2:
            return []
        found = dict(zip(self._outputs, self._engine.run(input_ids, np.ones_like(input_ids))))
        features = found[FEATURES][0] if FEATURES in found else None
        return self._ranker.rank(text, found[LOGITS][0], features)

    def encode(self, text: str) -> np.ndarray:
        """Wordpiece ids of a message.  # (T,) int64"""
        return self._tokenizer.encode(text)

    def logits(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Logits of messages, given as wordpiece ids, which go through the engine together.  # (B, C)"""
        return self.logits_and_features(batch)[0]

    def logits_and_features(self, batch: Sequence[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
        """Logits `(B, C)` and features `(B, P)` of messages; features of width 0 of a model that gives none."""
        found = dict(zip(self._outputs, self._engine.run(*padded(batch))))
        return found[LOGITS], found.get(FEATURES, np.zeros((len(batch), 0), np.float32))
