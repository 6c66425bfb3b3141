"""Text to a ranking of intents: what runs once per message."""

from __future__ import annotations

import math
from typing import List, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.engines import open_engine, padded
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

Ranking = List[Tuple[str, float]]


class IntentPredictor:
    """Tokenizer, engine and calibrated softmax of one artifact.

    Args:
        artifact: of an intent classifier.
        num_threads: of the engine.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        self._engine = open_engine(artifact, num_threads=num_threads)
        self.labels: List[str] = artifact.manifest["labels"]
        self._temperature = positive(artifact.manifest["temperature"])
        self._tokenizer = WordpieceTokenizer(artifact.files[TOKENIZER].decode("utf-8"), artifact.manifest["max_length"])

    def predict(self, text: str) -> Ranking:
        """All intents with their confidences, best first; empty for a text without any wordpiece."""
        input_ids = self._tokenizer.encode(text)[np.newaxis]  # (1, T)
        if input_ids.shape[1] <= 2:
            return []
        (logits,) = self._engine.run(input_ids, np.ones_like(input_ids))  # (1, C)
        return ranked(self.labels, logits[0], self._temperature)

    def encode(self, text: str) -> np.ndarray:
        """Wordpiece ids of a message.  # (T,) int64"""
        return self._tokenizer.encode(text)

    def logits(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Logits of messages, given as wordpiece ids, which go through the engine together.  # (B, C)"""
        return self._engine.run(*padded(batch))[0]


def ranked(labels: Sequence[str], logits: np.ndarray, temperature: float) -> Ranking:
    """Labels with their confidences, best first.

    Raises:
        ArtifactError: if there are more or fewer logits than labels, or if they are no numbers.
    """
    if len(logits) != len(labels):
        raise ArtifactError(f"The model gives {len(logits)} numbers for {len(labels)} intents. Train it again.")
    confidences = softmax(logits, temperature)
    order = np.argsort(-confidences, kind="stable")
    return [(labels[index], confidence) for index, confidence in zip(order.tolist(), confidences[order].tolist())]


def positive(temperature: float) -> float:
    """A temperature of confidences.

    Raises:
        ArtifactError: if it is none.
    """
    if not 0.0 < float(temperature) < math.inf:
        raise ArtifactError(f"{temperature} is no temperature: the model is damaged. Train it again.")
    return float(temperature)


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """`exp(z / T) / sum exp(z / T)` in float64, rounded such that no sum of its values exceeds 1.  # (C,)

    Raises:
        ArtifactError: if these are no numbers.
    """
    scaled = logits.astype(np.float64) / temperature
    confidences = np.exp(scaled - scaled.max())
    confidences /= confidences.sum()
    while not (total := math.fsum(confidences.tolist())) <= 1.0:
        if math.isnan(total):
            raise ArtifactError("What the model gives are no numbers: its weights are damaged. Train it again.")
        confidences *= 1.0 - 2.0**-52
    return confidences
