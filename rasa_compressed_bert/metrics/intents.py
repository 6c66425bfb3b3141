"""Accuracy and macro F1 of intents."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Union

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

_NO_INTENT = ""


def intent_scores(expected: Sequence[str], predicted: Sequence[Any]) -> Dict[str, float]:
    """Accuracy, and macro F1 over the intents of the test data, as shares; a predicted None means no intent."""
    names = [_NO_INTENT if name is None else name for name in predicted]
    return {"accuracy": float(accuracy_score(expected, names)), "macro_f1": macro_f1(expected, names)}


def macro_f1(expected: Union[Sequence[Any], np.ndarray], predicted: Union[Sequence[Any], np.ndarray]) -> float:
    """The mean F1 of the intents that occur in `expected`, as a share.

    An intent that is predicted but never expected has no F1 of its own; it lowers that of the expected intents.
    """
    return float(f1_score(expected, predicted, labels=sorted(set(expected)), average="macro", zero_division=0))
