"""How right intents are."""

from __future__ import annotations

from typing import Any, Dict, Sequence

from sklearn.metrics import accuracy_score, f1_score

_NO_INTENT = ""


def intent_scores(expected: Sequence[str], predicted: Sequence[Any]) -> Dict[str, float]:
    """Accuracy, and macro F1 over the intents of the test data, as shares; None is the prediction of no intent."""
    names = [_NO_INTENT if name is None else name for name in predicted]
    macro_f1 = f1_score(expected, names, labels=sorted(set(expected)), average="macro", zero_division=0)
    return {"accuracy": float(accuracy_score(expected, names)), "macro_f1": float(macro_f1)}
