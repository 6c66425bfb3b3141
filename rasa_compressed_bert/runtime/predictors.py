"""The predictors behind one protocol."""

from __future__ import annotations

from typing import Protocol

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor, Prediction
from rasa_compressed_bert.runtime.spacy_predictor import SpacyPredictor


class Predictor(Protocol):
    """Finds intents and entities in a text; safe to call from several threads."""

    def predict(self, text: str) -> Prediction:
        """What is found; nothing in a text without anything to read."""


def open_predictor(artifact: Artifact, *, num_threads: int = 1, with_pieces: bool = False) -> Predictor:
    """The predictor of a trained model.

    Args:
        artifact: of a classifier or an extractor.
        num_threads: of the engine; 0 means all cores. spaCy has one.
        with_pieces: gives the wordpieces with their places in the text, also where no head needs them.

    Raises:
        RuntimeMissingError: if the library that serves it is not installed.
        ArtifactError: if it refuses the model.
    """
    if artifact.manifest["runtime"] == "spacy":
        return SpacyPredictor(artifact)
    return MessagePredictor(artifact, num_threads=num_threads, with_pieces=with_pieces)
