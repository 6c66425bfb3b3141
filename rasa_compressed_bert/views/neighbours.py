"""The view of neighbours: how near the training messages of each intent are in the space of the encoder's features.

Features are stored in their principal components, which hold what fine-tuning left of them, and in 8 bits. A bot with
very many messages keeps those of each intent that the others are nearest to (`training.view_fitting`).
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
"""What similarities are multiplied by before a softmax makes them probabilities."""


class NeighbourView:
    """The largest cosine similarity to a training message of each intent.

    Args:
        components: directions that features are projected on, `(P, D)`.
        rows: projected features of training messages, each of length 1, `(n, D)`, sorted by class.
        starts: where each class begins in the rows, `(C,)`; every class has a row.
    """

    def __init__(self, components: np.ndarray, rows: np.ndarray, starts: np.ndarray):
        self._components = np.ascontiguousarray(components, np.float32)
        self._rows = np.ascontiguousarray(rows, np.float32)
        self._starts = starts.astype(np.int64)

    @property
    def size(self) -> int:
        """Messages that are stored."""
        return len(self._rows)

    def evidence(self, reading: Reading) -> Evidence:
        """`softmax(16 max cosine)` over the intents, and the cosines as they are.

        Raises:
            ArtifactError: if the model gives no features.
        """
        if reading.features is None:
            raise ArtifactError("The model compares the features of messages, and gives none. Train it again.")
        nearest = self.nearest(reading.features)
        return Evidence(softmax(SHARPNESS * nearest), nearest)

    def nearest(self, features: np.ndarray) -> np.ndarray:
        """The largest cosine similarity to a message of each intent.  # (C,)

        What the projection loses counts: the more of a message lies outside of what the training messages span, the
        less familiar it is.
        """
        norm = float(np.sqrt(features @ features))
        similarities = self._rows @ (features @ self._components / max(norm, 1e-12))
        return np.maximum.reduceat(similarities, self._starts)

    def tensors(self) -> Dict[str, np.ndarray]:
        """int8 rows and components."""
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
