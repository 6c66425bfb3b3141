"""The view of neighbours: how near the training messages of each intent are in the space of the encoder's features.

Features are projected on their principal components, which suffice after fine-tuning, and stored in 8 bits. Of very
many messages, only those of each intent are kept that the others are nearest to (`training.view_fitting`).
"""

from __future__ import annotations

from typing import Dict, Mapping

import numpy as np

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.views.view import (
    Evidence,
    Reading,
    dequantized_rows,
    quantized_rows,
    require_bounds,
    require_tensors,
    softmax,
)

SHARPNESS = 16.0
"""The factor of similarities before a softmax converts them to probabilities."""


class NeighbourView:
    """The largest cosine similarity to a training message of each intent.

    Args:
        components: directions that features are projected on, `(P, D)`.
        rows: projected features of training messages, normalised to length 1, `(n, D)`, sorted by class.
        starts: index of the first row of each class, `(C,)`; every class has a row.
    """

    def __init__(self, components: np.ndarray, rows: np.ndarray, starts: np.ndarray):
        self._components = np.ascontiguousarray(components, np.float32)
        self._rows = np.ascontiguousarray(rows, np.float32)
        self._starts = starts.astype(np.int64)

    @property
    def size(self) -> int:
        """The number of stored messages."""
        return len(self._rows)

    def evidence(self, reading: Reading) -> Evidence:
        """`softmax(16 max cosine)` over the intents, and the cosines themselves as the familiarity.

        Raises:
            ArtifactError: if the model outputs no features.
        """
        if reading.features is None:
            raise ArtifactError("The model compares the features of messages, but outputs none. Train it again.")
        nearest = self.nearest(reading.features)
        return Evidence(softmax(SHARPNESS * nearest), nearest)

    def nearest(self, features: np.ndarray) -> np.ndarray:
        """The largest cosine similarity to a message of each intent.  # (C,)

        The norm is that before the projection: the more of a message's features lies outside of the principal
        components, the less familiar it is.
        """
        norm = float(np.sqrt(features @ features))
        similarities = self._rows @ (features @ self._components / max(norm, 1e-12))
        return np.maximum.reduceat(similarities, self._starts)

    def tensors(self) -> Dict[str, np.ndarray]:
        """Rows and components in int8, and the starts."""
        return {
            **quantized_rows(self._components, "components"),
            **quantized_rows(self._rows, "rows"),
            "starts": self._starts.astype(np.int32),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], num_classes: int) -> NeighbourView:
        """The inverse of `tensors`, up to rounding.

        Raises:
            KeyError: if a tensor is missing.
            ValueError: if these are not the tensors of such a view.
        """
        (features, size), count = tensors["components"].shape, len(tensors["rows"])
        shapes = {
            **{"components": (features, size), "components.row_scale": (features,)},
            **{"rows": (count, size), "rows.row_scale": (count,), "starts": (num_classes,)},
        }
        require_tensors(tensors, shapes)
        require_bounds("starts", np.append(tensors["starts"], count), count)
        rows = dequantized_rows(dict(tensors), "rows")
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return cls(dequantized_rows(dict(tensors), "components"), rows, tensors["starts"])
