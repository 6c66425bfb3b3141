"""Calibration: makes confidences agree with accuracy."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_expit, logsumexp

MIN_EXAMPLES = 20
"""The number of held-out examples from which on confidences are calibrated."""
_BOUNDS = (-2.0, 2.0)  # of log T


def calibration_temperature(logits: np.ndarray, classes: np.ndarray) -> float:
    """The temperature of greatest likelihood for held-out labels (Guo et al. 2017, arXiv 1706.04599).

        T = argmin sum_i -log softmax(z_i / T)[y_i] - mean_i log(1 - max softmax(z_i / T))

    or 1 if there are too few examples. The second term adds one wrong prediction, as in Laplace's rule of succession:
    without it, if all held-out predictions were right, the temperature would tend to 0 and all confidences to 1.

    Args:
        logits: the logits of held-out examples, `(n, C)`.
        classes: their labels, `(n,)`.
    """
    if len(classes) < MIN_EXAMPLES or logits.shape[1] < 2:
        return 1.0
    logits = logits.astype(np.float64)

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        normalizer = logsumexp(scaled, axis=1)
        wrong = np.maximum(-np.expm1(scaled.max(axis=1) - normalizer), 1e-12)
        right = normalizer - scaled[np.arange(len(classes)), classes]
        return float(np.sum(right) - np.mean(np.log(wrong)))

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=_BOUNDS, method="bounded").x))


def fit_platt_scaling(margins: np.ndarray, right: np.ndarray) -> Tuple[float, float]:
    """The slope and the intercept of greatest likelihood for held-out predictions (Platt 1999).

        p = 1 / (1 + exp(-(slope margin + intercept)))

    The target of each of `n` right predictions is `(n + 1) / (n + 2)`, and of each of `m` wrong ones `1 / (m + 2)`, so
    that confidences do not become 1 if all are right. The slope is positive, so that confidences increase with margins.
    With fewer than `MIN_EXAMPLES` predictions they are 1 and 0: a margin is then taken for the log-odds.

    Args:
        margins: the margins of the predictions, `(n,)`.
        right: whether each prediction is right, `(n,)`.
    """
    if len(margins) < MIN_EXAMPLES:
        return 1.0, 0.0
    count = int(right.sum())
    targets = np.where(right, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
    scale = max(float(np.std(margins)), 1.0)  # equal margins have a deviation of some 1e-15
    centred = (margins - float(np.mean(margins))) / scale

    def negative_log_likelihood(values: np.ndarray) -> float:
        scores = np.exp(values[0]) * centred + values[1]
        return -float(np.mean(targets * log_expit(scores) + (1.0 - targets) * log_expit(-scores)))

    found = minimize(negative_log_likelihood, np.zeros(2), method="L-BFGS-B", bounds=[(-5.0, 5.0), (-20.0, 20.0)]).x
    slope = float(np.exp(found[0])) / scale
    return slope, float(found[1]) - slope * float(np.mean(margins))


def answers_are_calibrated(manifest: Mapping[str, Any]) -> bool:
    """Whether the confidences of an answer extractor were calibrated, in its last training or in an earlier one."""
    held_out = manifest["held_out"]
    return bool(manifest.get("calibrated_before") or (held_out and held_out["questions"] >= MIN_EXAMPLES))
