"""Buckets of relative positions, as in MPNet (Song et al. 2020, arXiv 2004.09297), after T5 (arXiv 1910.10683)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

_FARTHEST = 128  # larger distances share one bucket


class RelativePositions(NamedTuple):
    """Tables in which the bucket of a query at `i` and a key at `j` is `buckets[queries[i] + keys[j]]`.

    Attributes:
        queries, keys: an offset for each position, `(M,)`.
        buckets: the bucket of each distance from `-(M - 1)` to `M - 1`, `(2 M - 1,)`.
    """

    queries: np.ndarray
    keys: np.ndarray
    buckets: np.ndarray


def relative_positions(positions: int, buckets: int) -> RelativePositions:
    """The tables for messages of at most `positions` wordpieces."""
    keys = np.arange(positions)
    return RelativePositions(positions - 1 - keys, keys, bucket_of(np.arange(1 - positions, positions), buckets))


def bucket_of(distances: np.ndarray, buckets: int) -> np.ndarray:
    """The bucket of each distance: half of the buckets for each direction.

    In each direction, half of its buckets are for single small distances, the rest for logarithmic ranges.

    Args:
        distances: distances of keys from their queries, `j - i`.
        buckets: the number of buckets.
    """
    half = buckets // 2
    exact = half // 2
    sizes = np.abs(distances)
    logarithms = np.log(np.maximum(sizes, exact) / exact) / math.log(_FARTHEST / exact)
    far = np.minimum(exact + (logarithms * (half - exact)).astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(sizes < exact, sizes, far)
