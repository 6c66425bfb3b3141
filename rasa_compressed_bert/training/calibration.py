"""Temperature scaling: makes confidences agree with accuracy."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

_BOUNDS = (-2.0, 2.0)  # of log T
_MIN_EXAMPLES = 20  # with fewer, there is no calibration


def calibration_temperature(logits: np.ndarray, classes: np.ndarray) -> float:
    """The temperature of greatest likelihood for held-out labels (Guo et al. 2017, arXiv 1706.04599).

        T = argmin sum_i -log softmax(z_i / T)[y_i] - mean_i log(1 - max softmax(z_i / T))

    or 1 if there are too few examples. The second term adds one wrong prediction, as in Laplace's rule of succession:
    without it, if all held-out predictions were right, the temperature would tend to 0 and all confidences to 1.

    Args:
        logits: the logits of held-out examples, `(n, C)`.
        classes: their labels, `(n,)`.
    """
    if len(classes) < _MIN_EXAMPLES or logits.shape[1] < 2:
        return 1.0
    logits = logits.astype(np.float64)

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        normalizer = logsumexp(scaled, axis=1)
        wrong = np.maximum(-np.expm1(scaled.max(axis=1) - normalizer), 1e-12)
        right = normalizer - scaled[np.arange(len(classes)), classes]
        return float(np.sum(right) - np.mean(np.log(wrong)))

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=_BOUNDS, method="bounded").x))
