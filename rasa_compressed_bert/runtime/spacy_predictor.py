"""Text to a ranking of intents by a spaCy text classifier."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import SPACY_MODEL, Artifact
from rasa_compressed_bert.errors import ArtifactError, RuntimeMissingError
from rasa_compressed_bert.runtime.intent_predictor import Ranking, ranked
from rasa_compressed_bert.tokenization.words import bounded

_SAYS_NOTHING = " \ufffd"  # of what is printable; all other blanks are not
_LEAST = 1e-9  # probability whose logarithm is taken


class SpacyPredictor:
    """The pipeline of one artifact, and calibrated confidences; safe to call from several threads.

    The pipeline is made here, of the language and the labels in the manifest; the file gives its weights only.

    Args:
        artifact: of a spacy_textcat student.

    Raises:
        RuntimeMissingError: if spaCy is not installed.
        ArtifactError: if spaCy refuses the file.
    """

    def __init__(self, artifact: Artifact):
        try:
            import spacy
        except ImportError as error:
            raise RuntimeMissingError("The runtime 'spacy' is not installed: pip install spacy") from error
        self.labels: List[str] = artifact.manifest["labels"]
        self._max_length: int = artifact.manifest["max_length"]
        self._temperature: float = artifact.manifest["temperature"]
        try:
            self._nlp = spacy.blank(artifact.manifest["student"]["language"])
            self._textcat = self._nlp.add_pipe("textcat")
            for label in self.labels:
                self._textcat.add_label(label)
            self._nlp.from_bytes(artifact.files[SPACY_MODEL])
        except Exception as error:  # spaCy's errors have no common base
            raise ArtifactError(f"spaCy cannot load the model: {error}") from error

    def predict(self, text: str) -> Ranking:
        """All intents with their confidences, best first; empty for a text of blanks and control characters."""
        if not any(character.isprintable() and character not in _SAYS_NOTHING for character in text):
            return []
        return ranked(self.labels, self.logits([text])[0], self._temperature)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Logarithms of the probabilities of messages.  # (n, C)"""
        docs = [self._nlp.make_doc(bounded(text, self._max_length)) for text in texts]
        return np.log(np.maximum(self._textcat.predict(docs), _LEAST))
