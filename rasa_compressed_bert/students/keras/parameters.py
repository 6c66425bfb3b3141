"""Random initial parameters of students over wordpieces."""

from __future__ import annotations

from typing import Dict

import numpy as np


def head_parameters(
    rng: np.random.Generator, pooled_size: int, dense_size: int, num_classes: int
) -> Dict[str, np.ndarray]:
    """A random ReLU layer and a random linear layer on the pooled vector."""
    return {
        "dense.kernel": glorot(rng, pooled_size, dense_size),
        "dense.bias": np.zeros(dense_size, np.float32),
        "classifier.kernel": glorot(rng, dense_size, num_classes),
        "classifier.bias": np.zeros(num_classes, np.float32),
    }


def glorot(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Uniform random numbers that preserve the variance of the input (Glorot and Bengio 2010)."""
    limit = np.sqrt(6.0 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)
