"""The check that an exported model predicts what the trained one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from rasa_compressed_bert.errors import ExportError

MAX_CHANGED = 0.02
"""Largest share of messages whose label may change decisively; one message always may."""
MAX_DISTANCE = 0.1
"""Largest mean total variation distance between the two models' confidences."""
MIN_SIMILARITY = 0.9
"""Smallest mean cosine similarity of hidden states; no format but k-means of very few bits comes near it."""
_NEAR_TIE = 0.1  # a label that leads by less confidence than this is no decision


@dataclass(frozen=True)
class Parity:
    """How far the exported model is from the trained one.

    Attributes:
        messages: compared.
        changed: messages whose most likely label is another one.
        decisively_changed: those of them where the trained model was not near a tie.
        distance: mean of `0.5 sum_c |p_c - q_c|` over the messages.
    """

    messages: int
    changed: int
    decisively_changed: int
    distance: float


def compare_confidences(trained: np.ndarray, exported: np.ndarray) -> Parity:
    """Compares confidences `(n, C)` of the same messages."""
    rows = np.arange(len(trained))
    before, after = trained.argmax(axis=1), exported.argmax(axis=1)
    changed = before != after
    decisive = changed & (trained[rows, before] - trained[rows, after] > _NEAR_TIE)
    distance = 0.5 * np.abs(trained - exported).sum(axis=1)
    return Parity(len(trained), int(changed.sum()), int(decisive.sum()), float(distance.mean()))


def check_confidences(parity: Parity) -> None:
    """Refuses an export that changes predictions.

    Raises:
        ExportError: if more than `MAX_CHANGED` of the labels changed decisively, or confidences moved by more than
            `MAX_DISTANCE` on average.
    """
    allowed = max(1, int(MAX_CHANGED * parity.messages))
    if parity.decisively_changed > allowed or not parity.distance <= MAX_DISTANCE:
        raise ExportError(
            f"The exported model disagrees with the trained one: {parity.decisively_changed} of {parity.messages} "
            f"labels changed (allowed: {allowed}), confidences moved by {parity.distance:.3f} on average (allowed: "
            f"{MAX_DISTANCE}). "
            "Nothing was saved. Set quantization.per_channel to true, or quantization.method to none."
        )


def check_features(trained: Sequence[np.ndarray], exported: Sequence[np.ndarray]) -> float:
    """Mean cosine similarity of the hidden states `(T_i, H)` of the same messages; refuses an export that changes them.

    Raises:
        ExportError: if it is below `MIN_SIMILARITY`.
    """
    ours, theirs = np.concatenate(exported), np.concatenate(trained)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    similarity = float(np.mean(np.sum(ours * theirs, axis=1) / np.maximum(norms, 1e-12)))
    if not similarity >= MIN_SIMILARITY:
        raise ExportError(
            f"The exported encoder disagrees with the one that it was made from: their hidden states have a mean "
            f"cosine similarity of {similarity:.3f} (at least {MIN_SIMILARITY} is needed). Nothing was saved. Set "
            "quantization.method to dynamic_int8 or none."
        )
    return similarity
