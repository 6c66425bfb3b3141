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
    """Refuses what are not the tensors of a view.

    Args:
        tensors: as they were stored.
        shapes: of each of them.

    Raises:
        KeyError: if one is missing.
        ValueError: if one has another shape, or values that are no numbers.
    """
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ValueError(f"'{name}' has the shape {tensors[name].shape} instead of {shape}")
        if not np.isfinite(tensors[name]).all():
            raise ValueError(f"'{name}' has values that are not numbers")


def require_bounds(name: str, bounds: np.ndarray, end: int) -> None:
    """Refuses what do not cut `end` rows into parts that have a row each.

    Args:
        name: of the tensor.
        bounds: where each part begins, and where the last one ends.
        end: the number of rows.

    Raises:
        ValueError: if they do not.
    """
    if bounds[0] != 0 or bounds[-1] != end or not np.all(np.diff(bounds.astype(np.int64)) > 0):
        raise ValueError(f"'{name}' does not cut {end} rows into parts")
