"""The check that an exported model says what the trained one says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rasa_compressed_bert.errors import ExportError

MAX_CHANGED = 0.02
"""Largest share of messages whose label may change decisively; one message always may."""
MAX_DISTANCE = 0.1
"""Largest mean total variation distance between the two models' confidences."""
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


def compare(trained: np.ndarray, exported: np.ndarray) -> Parity:
    """Compares confidences `(n, C)` of the same messages."""
    rows = np.arange(len(trained))
    before, after = trained.argmax(axis=1), exported.argmax(axis=1)
    changed = before != after
    decisive = changed & (trained[rows, before] - trained[rows, after] > _NEAR_TIE)
    distance = 0.5 * np.abs(trained - exported).sum(axis=1)
    return Parity(len(trained), int(changed.sum()), int(decisive.sum()), float(distance.mean()))


def check(parity: Parity) -> None:
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
