"""The protocol of a view: one way to predict the intent of a message, and how familiar the message is."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Protocol, Tuple

import numpy as np


class Reading(NamedTuple):
    """The input of the views for one message.

    Attributes:
        text: text of the message.
        logits: logits of the classifier, `(C,)`.
        features: input of the classifier's linear layer, `(P,)`; None for a model that does not output it.
    """

    text: str
    logits: np.ndarray
    features: Optional[np.ndarray]


class Evidence(NamedTuple):
    """The output of a view for one message.

    Attributes:
        probabilities: probabilities of the intents, `(C,)`, with the sum 1.
        familiarity: how similar the message is to the training messages of each intent, `(C,)`; larger is more similar.
    """

    probabilities: np.ndarray
    familiarity: np.ndarray


class View(Protocol):
    """One way to predict the intent of a message, in numpy only and thread-safe."""

    def evidence(self, reading: Reading) -> Evidence:
        """Probabilities and familiarity of one message."""

    def tensors(self) -> Dict[str, np.ndarray]:
        """The tensors to store; the class method `from_tensors` is the inverse."""


def softmax(scores: np.ndarray) -> np.ndarray:
    """`exp(s) / sum exp(s)` over the last axis, in float64."""
    exponentials = np.exp(scores.astype(np.float64) - np.maximum.reduce(scores, axis=-1, keepdims=True))
    exponentials /= np.add.reduce(exponentials, axis=-1, keepdims=True)
    return exponentials


def quantized_rows(matrix: np.ndarray, name: str) -> Dict[str, Any]:
    """A matrix as int8 with one scale per row: `matrix ~ values * scale[:, None]`."""
    scale = np.maximum(np.abs(matrix).max(axis=1, initial=0.0), 1e-12).astype(np.float32) / 127.0
    values = np.rint(matrix / scale[:, np.newaxis]).astype(np.int8)
    return {name: values, f"{name}.row_scale": scale}


def dequantized_rows(tensors: Dict[str, np.ndarray], name: str) -> np.ndarray:
    """The inverse of `quantized_rows`, in float32."""
    return tensors[name].astype(np.float32) * tensors[f"{name}.row_scale"][:, np.newaxis]


def require_tensors(tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Tuple[int, ...]]) -> None:
    """Checks the names, shapes and values of stored tensors.

    Args:
        tensors: the stored tensors by name.
        shapes: the expected shapes by name.

    Raises:
        KeyError: if one is missing.
        ValueError: if a tensor has another shape, or values that are not finite.
    """
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ValueError(f"'{name}' has the shape {tensors[name].shape} instead of {shape}")
        if not np.isfinite(tensors[name]).all():
            raise ValueError(f"'{name}' has values that are not finite")


def require_bounds(name: str, bounds: np.ndarray, end: int) -> None:
    """Checks that bounds divide `end` rows into parts of at least one row.

    Args:
        name: the name of the tensor.
        bounds: the first row of each part, and the end of the last one.
        end: the number of rows.

    Raises:
        ValueError: if a part is empty, or if they begin or end elsewhere.
    """
    if bounds[0] != 0 or bounds[-1] != end or not np.all(np.diff(bounds.astype(np.int64)) > 0):
        raise ValueError(f"'{name}' does not divide {end} rows into parts")
