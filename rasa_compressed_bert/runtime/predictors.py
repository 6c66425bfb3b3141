"""The protocol of predictors, and the predictor of a trained model."""

from __future__ import annotations

from typing import Protocol

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor, Prediction
from rasa_compressed_bert.runtime.spacy_predictor import SpacyPredictor


class Predictor(Protocol):
    """Predicts intents and entities of a text; safe to call from several threads."""

    def predict(self, text: str) -> Prediction:
        """The prediction for a text; empty if the text has nothing to read."""


def open_predictor(artifact: Artifact, *, num_threads: int = 1, with_pieces: bool = False) -> Predictor:
    """The predictor of a trained model.

    Args:
        artifact: a classifier or an extractor.
        num_threads: the number of threads of the engine; 0 means all cores. spaCy always uses one.
        with_pieces: returns the wordpieces with their positions in the text even if no head needs them.

    Raises:
        RuntimeMissingError: if the library that serves the model is not installed.
        ArtifactError: if the library refuses the model.
    """
    if artifact.manifest["runtime"] == "spacy":
        return SpacyPredictor(artifact)
    return MessagePredictor(artifact, num_threads=num_threads, with_pieces=with_pieces)
