"""Calibration of confidences, and how well they separate messages out of scope."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from sklearn.metrics import f1_score, precision_recall_curve, roc_auc_score

from rasa_compressed_bert.data.example import OUT_OF_SCOPE

FALLBACK_THRESHOLD = 0.3
"""The threshold of Rasa's FallbackClassifier in the configuration that `rasa init` writes."""


def expected_calibration_error(confidences: Sequence[float], right: Sequence[bool], *, bins: int = 15) -> float:
    """The expected calibration error: how far confidences are from the share of predictions that are right.

        ECE = sum_b (n_b / n) |accuracy_b - confidence_b|

    over bins of equal width in (0, 1], where `accuracy_b` is the share of right predictions in a bin and `confidence_b`
    their mean confidence (Guo et al. 2017, "On calibration of modern neural networks", with their 15 bins).

    Args:
        confidences: confidences of the predictions, in [0, 1].
        right: whether each prediction is right.
        bins: number of bins.
    """
    values, hits = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    gaps = np.bincount(_bin_of(values, bins), weights=hits - values, minlength=bins)  # n_b (accuracy_b - confidence_b)
    return float(np.abs(gaps).sum() / len(values))


class ReliabilityBin(NamedTuple):
    """The number of predictions in a bin, their mean confidence, and the share of them that is right."""

    answers: int
    confidence: float
    accuracy: float


def reliability(confidences: Sequence[float], right: Sequence[bool], *, bins: int = 10) -> List[ReliabilityBin]:
    """The non-empty bins of a reliability diagram (Guo et al. 2017), of equal width in (0, 1], lowest first.

    Args:
        confidences: confidences of the predictions, in [0, 1].
        right: whether each prediction is right.
        bins: number of bins.
    """
    values, hits = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    members = _bin_of(values, bins)
    return [
        ReliabilityBin(int(own.sum()), float(values[own].mean()), float(hits[own].mean()))
        for own in (members == number for number in np.unique(members))
    ]


def _bin_of(confidences: np.ndarray, bins: int) -> np.ndarray:
    return np.clip(np.ceil(confidences * bins) - 1, 0, bins - 1).astype(int)


def in_scope_confidences(
    predicted: Sequence[Optional[str]], confidences: Sequence[float], expected: Sequence[str] = ()
) -> List[float]:
    """The confidences that messages are in scope: 0 if the best intent of a message is `out_of_scope`.

    Args:
        predicted: best intent of each message; None without one.
        confidences: confidences of these intents.
        expected: the right intents, if known. Messages of the intent `out_of_scope` are left out, unless there are no
            others.
    """
    values = [0.0 if intent == OUT_OF_SCOPE else value for intent, value in zip(predicted, confidences)]
    return [value for value, intent in zip(values, expected) if intent != OUT_OF_SCOPE] or values


def out_of_scope_auroc(in_scope: Sequence[float], out_of_scope: Sequence[float]) -> float:
    """The area under the ROC curve: how often a message in scope has a higher confidence than one out of scope.

    Args:
        in_scope: confidences of messages with an intent.
        out_of_scope: confidences of messages without one.
    """
    labels = [1] * len(in_scope) + [0] * len(out_of_scope)
    return float(roc_auc_score(labels, [*in_scope, *out_of_scope]))


def fallback_f1(in_scope: Sequence[float], out_of_scope: Sequence[float], threshold: float) -> float:
    """F1 of detecting messages out of scope by a confidence below a threshold.

    Args:
        in_scope: confidences of messages with an intent.
        out_of_scope: confidences of messages without one.
        threshold: the threshold, as in Rasa's FallbackClassifier.
    """
    labels = [0] * len(in_scope) + [1] * len(out_of_scope)
    below = [int(confidence < threshold) for confidence in (*in_scope, *out_of_scope)]
    return float(f1_score(labels, below, zero_division=0))


def best_fallback(in_scope: Sequence[float], out_of_scope: Sequence[float]) -> Tuple[float, float]:
    """The threshold of `fallback_f1` with the highest F1, and that F1.

    It compares calibrated and underconfident models: the F1 at a given threshold depends on where confidences lie.

    Args:
        in_scope: confidences of messages with an intent.
        out_of_scope: confidences of messages without one.

    Returns:
        A threshold for Rasa's FallbackClassifier, with as few digits as possible for this F1, and the F1.
    """
    confidences = np.asarray([*in_scope, *out_of_scope], np.float64)
    labels = [0] * len(in_scope) + [1] * len(out_of_scope)
    precision, recall, thresholds = precision_recall_curve(labels, -confidences)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1[:-1]))  # the last one belongs to no threshold
    highest = -float(thresholds[best])  # the highest confidence that is taken for out of scope
    above = confidences[confidences > highest]
    return _shortest_between(highest, float(above.min(initial=np.inf))), float(f1[best])


def _shortest_between(low: float, high: float) -> float:
    """The number in `(low, high]` with the fewest decimal digits."""
    for digits in range(1, 17):
        step = Decimal(1).scaleb(-digits)
        number = float(Decimal(low).quantize(step, ROUND_FLOOR) + step)
        if low < number <= high:
            return number
    return high
