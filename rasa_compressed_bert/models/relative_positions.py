"""Relative positions in buckets, as MPNet has them (Song et al. 2020, arXiv 2004.09297; after T5: 1910.10683)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

_FARTHEST = 128  # from where on all distances are in one bucket


class RelativePositions(NamedTuple):
    """The bucket of a query at `i` and a key at `j` is `buckets[queries[i] + keys[j]]`.

    Attributes:
        queries, keys: for every position, `(M,)`.
        buckets: for every distance from `-(M - 1)` to `M - 1`, `(2 M - 1,)`.
    """

    queries: np.ndarray
    keys: np.ndarray
    buckets: np.ndarray


def relative_positions(positions: int, buckets: int) -> RelativePositions:
    """The tables for messages of at most `positions` wordpieces."""
    keys = np.arange(positions)
    return RelativePositions(positions - 1 - keys, keys, bucket_of(np.arange(1 - positions, positions), buckets))


def bucket_of(distances: np.ndarray, buckets: int) -> np.ndarray:
    """Half of the buckets for each direction; in each, a half for small distances and the rest by their logarithm.

    Args:
        distances: of a key from its query, `j - i`.
        buckets: how many there are.
    """
    half = buckets // 2
    exact = half // 2
    sizes = np.abs(distances)
    logarithms = np.log(np.maximum(sizes, exact) / exact) / math.log(_FARTHEST / exact)
    far = np.minimum(exact + (logarithms * (half - exact)).astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(sizes < exact, sizes, far)
