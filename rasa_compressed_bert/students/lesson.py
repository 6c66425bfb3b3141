"""What a student learns, whatever its architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np


@dataclass(frozen=True)
class Lesson:
    """Messages with what the teacher says of them, and held-out examples.

    Attributes:
        labels: the intents; a label's index is its class.
        texts: of the training messages, and of the synthetic and unlabelled ones.
        classes: of the former; -1 of the latter, `(n,)`.
        soft_targets: the teacher's logits, `(n, C)`.
        validation_texts: held-out messages; none means that the last epoch is kept.
        validation_classes: their classes, `(m,)`.
    """

    labels: Tuple[str, ...]
    texts: Sequence[str]
    classes: np.ndarray
    soft_targets: np.ndarray
    validation_texts: Sequence[str]
    validation_classes: np.ndarray
