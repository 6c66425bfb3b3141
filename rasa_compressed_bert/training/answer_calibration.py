"""Confidences of answers, from held-out questions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit

_MIN_QUESTIONS = 20  # fewer are too few to calibrate on


class Confidences(NamedTuple):
    """`1 / (1 + exp(-(slope margin + intercept)))`, the probability that an answer with this margin is right."""

    slope: float = 1.0
    intercept: float = 0.0


def fit_confidences(margins: np.ndarray, right: np.ndarray) -> Confidences:
    """The slope and the intercept that make held-out answers most likely (Platt 1999).

    Each right answer counts as `(n + 1) / (n + 2)` right, of `n` right ones, and each wrong one accordingly, so that
    answers without a mistake do not make every confidence 1. The slope is positive, so that larger margins are never
    less certain. Of fewer than 20 questions nothing is learnt.

    Args:
        margins: of the best answer to each question, see `AnswerDecoder.best_span`, `(n,)`.
        right: whether it is an annotated one, `(n,)`.
    """
    if len(margins) < _MIN_QUESTIONS:
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
