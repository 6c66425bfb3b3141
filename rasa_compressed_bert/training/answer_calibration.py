"""Calibrates the confidences of answers on held-out questions."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit

MIN_QUESTIONS = 20
"""The number of answers from which on confidences are calibrated and a threshold is chosen."""


class Confidences(NamedTuple):
    """`1 / (1 + exp(-(slope margin + intercept)))`, the probability that an answer with this margin is right."""

    slope: float = 1.0
    intercept: float = 0.0


def is_calibrated(manifest: Mapping[str, Any]) -> bool:
    """Whether the confidences of an answer extractor were calibrated, in its last training or in an earlier one."""
    held_out = manifest["held_out"]
    return bool(manifest.get("calibrated_before") or (held_out and held_out["questions"] >= MIN_QUESTIONS))


def fit_confidences(margins: np.ndarray, right: np.ndarray) -> Confidences:
    """The slope and the intercept of greatest likelihood for held-out answers, Platt scaling (Platt 1999).

    The target of each of `n` right answers is `(n + 1) / (n + 2)`, and of each of `m` wrong ones `1 / (m + 2)`, so that
    confidences do not become 1 if all answers are right. The slope is positive, so that confidences increase with
    margins. With fewer than 20 questions, the defaults of `Confidences` are returned.

    Args:
        margins: the margin of the best answer to each question, see `AnswerDecoder.best_span`, `(n,)`.
        right: whether that answer is an annotated one, `(n,)`.
    """
    if len(margins) < MIN_QUESTIONS:
        return Confidences()
    count = int(right.sum())
    targets = np.where(right, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
    scale = float(np.std(margins)) or 1.0
    centred = (margins - float(np.mean(margins))) / scale

    def negative_log_likelihood(values: np.ndarray) -> float:
        scores = np.exp(values[0]) * centred + values[1]
        return -float(np.mean(targets * log_expit(scores) + (1.0 - targets) * log_expit(-scores)))

    found = minimize(negative_log_likelihood, np.zeros(2), method="L-BFGS-B", bounds=[(-5.0, 5.0), (-20.0, 20.0)]).x
    slope = float(np.exp(found[0])) / scale
    return Confidences(slope, float(found[1]) - slope * float(np.mean(margins)))
