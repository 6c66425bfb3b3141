"""What a student learns, whatever its architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np


@dataclass(frozen=True)
class DistillationData:
    """Messages with the teacher's logits, and held-out examples.

    Attributes:
        labels: the intents; a label's index is its class.
        texts: of all training messages, and of most synthetic and unlabelled ones.
        classes: of the former; -1 of the latter, `(n,)`.
        soft_targets: the teacher's logits, `(n, C)`.
        validation_texts: synthetic and unlabelled messages that epochs are compared on; without any the last is kept.
        validation_classes: the intents that the teacher gives them, `(m,)`.
    """

    labels: Tuple[str, ...]
    texts: Sequence[str]
    classes: np.ndarray
    soft_targets: np.ndarray
    validation_texts: Sequence[str]
    validation_classes: np.ndarray
