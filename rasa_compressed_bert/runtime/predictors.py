"""The predictors of intents behind one protocol."""

from __future__ import annotations

from typing import List, Protocol

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.runtime.intent_predictor import IntentPredictor
from rasa_compressed_bert.runtime.ranking import Ranking
from rasa_compressed_bert.runtime.spacy_predictor import SpacyPredictor


class Predictor(Protocol):
    """Gives a text its intents; safe to call from several threads."""

    @property
    def labels(self) -> List[str]:
        """The intents, in the order of the logits."""

    def predict(self, text: str) -> Ranking:
        """All intents with their confidences, best first; empty for a text without anything to read."""


def open_predictor(artifact: Artifact, *, num_threads: int = 1) -> Predictor:
    """The predictor of an intent classifier's artifact.

    Args:
        artifact: of an intent classifier.
        num_threads: of the engine; 0 means all cores. spaCy has one.

    Raises:
        RuntimeMissingError: if the library that serves it is not installed.
        ArtifactError: if it refuses the model.
    """
    if artifact.manifest["runtime"] == "spacy":
        return SpacyPredictor(artifact)
    return IntentPredictor(artifact, num_threads=num_threads)
