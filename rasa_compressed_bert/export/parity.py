"""The parity check: an exported model has to make the same predictions as the trained one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from rasa_compressed_bert.errors import ExportError

MAX_CHANGED = 0.02
"""The largest share of messages whose label may change decisively; a single message always may."""
MAX_DISTANCE = 0.1
"""The largest mean total variation distance between the confidences of the two models."""
MIN_SIMILARITY = 0.9
"""The smallest mean cosine similarity of hidden states; only k-means with very few bits comes close to it."""
_NEAR_TIE = 0.1  # confidence; a smaller lead of the best label counts as a tie


@dataclass(frozen=True)
class Parity:
    """The differences between the exported and the trained model.

    Attributes:
        messages: the number of messages that were compared.
        changed: the number of messages whose most likely label changed.
        decisively_changed: the number of those for which the trained model was not near a tie.
        distance: the mean of `0.5 sum_c |p_c - q_c|` over the messages.
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
            f"The exported model differs from the trained one: {parity.decisively_changed} of {parity.messages} "
            f"labels changed (allowed: {allowed}), confidences moved by {parity.distance:.3f} on average (allowed: "
            f"{MAX_DISTANCE}). "
            "Nothing was saved. Set quantization.method to none, or quantization.per_channel to true if it is false."
        )


def check_features(trained: Sequence[np.ndarray], exported: Sequence[np.ndarray]) -> float:
    """The mean cosine similarity of hidden states `(T_i, H)` of the same messages; refuses an export that changes them.

    Raises:
        ExportError: if it is below `MIN_SIMILARITY`.
    """
    ours, theirs = np.concatenate(exported), np.concatenate(trained)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    similarity = float(np.mean(np.sum(ours * theirs, axis=1) / np.maximum(norms, 1e-12)))
    if not similarity >= MIN_SIMILARITY:
        raise ExportError(
            f"The exported encoder differs from the one that it was made from: their hidden states have a mean "
            f"cosine similarity of {similarity:.3f} (at least {MIN_SIMILARITY} is needed). Nothing was saved. Set "
            "quantization.method to dynamic_int8 or none."
        )
    return similarity
