"""Ranks intents by confidence, from the outputs of a model for a message."""

from __future__ import annotations

import math
from typing import Any, List, Mapping, Optional, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import VIEWS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.views import decision
from rasa_compressed_bert.views.view import Reading

Ranking = List[Tuple[str, float]]
LOGITS, FEATURES, TAG_LOGITS, RESPONSE_LOGITS = "logits", "features", "tag_logits", "response_logits"
"""Names of the outputs of a graph."""


class IntentRanker:
    """Computes the confidences of intents, from the views of an artifact or as the calibrated softmax of its logits.

    Args:
        artifact: a model with intents.
    """

    def __init__(self, artifact: Artifact):
        self.labels: List[str] = artifact.manifest["labels"]
        self._temperature = positive(artifact.manifest["temperature"])
        self._decision: Optional[decision.IntentDecision] = None
        if "views" in artifact.manifest:
            if VIEWS not in artifact.files:
                raise ArtifactError(f"The model has views of a message, but not the file '{VIEWS}'. Train it again.")
            tensors = tensors_from_bytes(artifact.files[VIEWS])
            self._decision = decision.read(artifact.manifest["views"], tensors, len(self.labels))

    def rank(self, text: str, logits: np.ndarray, features: Optional[np.ndarray]) -> Ranking:
        """All intents with their confidences, best first.

        Args:
            text: the text of the message.
            logits: `(C,)`.
            features: the features of the message, `(P,)`; None if the model does not output them.

        Raises:
            ArtifactError: if there are more or fewer logits than labels, or if they are not numbers.
        """
        if len(logits) != len(self.labels):
            raise ArtifactError(
                f"The model gives {counted(len(logits), 'number', 'numbers')} for "
                f"{counted(len(self.labels), 'intent', 'intents')}. Train it again."
            )
        if self._decision is None:
            confidences = softmax(logits, self._temperature)
        else:
            confidences = _at_most_one(self._decision.confidences(Reading(text, logits, features)))
        order = np.argsort(-confidences, kind="stable")
        return [(self.labels[index], value) for index, value in zip(order.tolist(), confidences[order].tolist())]


def outputs_of(manifest: Mapping[str, Any]) -> List[str]:
    """The names of the outputs of a model's graph, in its order; for format version 2, derived from the heads."""
    if "outputs" in manifest:
        return list(manifest["outputs"])
    return [*([LOGITS] if manifest["labels"] else []), *([TAG_LOGITS] if manifest.get("entities") else [])]


def positive(temperature: float) -> float:
    """Checks a temperature of confidences.

    Raises:
        ArtifactError: if it is not a positive, finite number.
    """
    if not 0.0 < float(temperature) < math.inf:
        raise ArtifactError(f"{temperature} is not a valid temperature: the model is damaged. Train it again.")
    return float(temperature)


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """`exp(z / T) / sum exp(z / T)` in float64, rounded such that the values never sum to more than 1.  # (C,)

    Raises:
        ArtifactError: if the logits are not numbers.
    """
    scaled = logits.astype(np.float64) / temperature
    confidences = np.exp(scaled - scaled.max())
    return _at_most_one(confidences / confidences.sum())


def _at_most_one(confidences: np.ndarray) -> np.ndarray:
    """Rounds confidences such that they never sum to more than 1.

    Rounding may add to each of many thousand confidences, so that single steps of 2^-52 could take minutes.
    """
    while not (total := math.fsum(confidences.tolist())) <= 1.0:
        if math.isnan(total):
            raise ArtifactError("The model's outputs are not numbers: its weights are damaged. Train it again.")
        confidences = confidences * min(1.0 / total, 1.0 - 2.0**-52)
    return confidences
