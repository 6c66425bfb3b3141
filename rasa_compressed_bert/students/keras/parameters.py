"""Random parameters that a student over wordpieces starts from."""

from __future__ import annotations

from typing import Dict

import numpy as np


def head_parameters(
    rng: np.random.Generator, pooled_size: int, dense_size: int, num_classes: int
) -> Dict[str, np.ndarray]:
    """A random ReLU layer and a random linear layer behind what is pooled."""
    return {
        "dense.kernel": glorot(rng, pooled_size, dense_size),
        "dense.bias": np.zeros(dense_size, np.float32),
        "classifier.kernel": glorot(rng, dense_size, num_classes),
        "classifier.bias": np.zeros(num_classes, np.float32),
    }


def glorot(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Uniform random numbers that keep the variance of what they are multiplied with (Glorot and Bengio 2010)."""
    limit = np.sqrt(6.0 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)
