"""Magnitude pruning of single weights, of 4 x 4 blocks, and of 2 in every 4.

It makes an archive smaller, but nothing faster: at these sparsities, no maintained CPU library multiplies by an
unstructured sparse matrix faster than by a dense one.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 4


def magnitude_mask(weights: np.ndarray, sparsity: float, *, pattern: str = "unstructured") -> np.ndarray:
    """A mask with 1 for weights to keep and 0 for the others, as in tfmot's `prune_low_magnitude`.

    Args:
        weights: a matrix, inputs first, `(rows, columns)`.
        sparsity: the share of weights to prune, 0 to 1; `n2_m4` always prunes a half.
        pattern: `unstructured` keeps the largest `|w|`; `block_4x4` keeps the blocks of the largest mean `|w|` (a
            margin that does not fill a block is a block of its own); `n2_m4` keeps the two largest of every four
            consecutive inputs of a neuron.

    Returns:
        The mask, with the shape and the dtype of the weights.
    """
    if pattern == "n2_m4":
        return _two_of_four(weights)
    if pattern == "block_4x4":
        return _blocks(weights, sparsity)
    return _keep_largest(np.abs(weights), sparsity).astype(weights.dtype)


def _keep_largest(scores: np.ndarray, sparsity: float) -> np.ndarray:
    """tfmot's rule: keeps scores of at least the one at rank `round(n (1 - sparsity))`, ties included."""
    count = max(1, int(np.rint(np.float32(scores.size) * (np.float32(1.0) - np.float32(sparsity)))))
    threshold = np.partition(scores.reshape(-1), scores.size - count)[scores.size - count]
    return scores >= threshold


def _blocks(weights: np.ndarray, sparsity: float) -> np.ndarray:
    rows, columns = weights.shape
    padding = ((0, -rows % _BLOCK), (0, -columns % _BLOCK))
    magnitudes = np.pad(np.abs(weights), padding, constant_values=np.nan)  # means ignore the padding
    blocks = np.nanmean(magnitudes.reshape(-(-rows // _BLOCK), _BLOCK, -1, _BLOCK), axis=(1, 3))
    kept = np.kron(_keep_largest(blocks, sparsity), np.ones((_BLOCK, _BLOCK)))
    return kept[:rows, :columns].astype(weights.dtype)


def _two_of_four(weights: np.ndarray) -> np.ndarray:
    rows, columns = weights.shape
    magnitudes = np.pad(np.abs(weights), ((0, -rows % 4), (0, 0)), constant_values=-1.0)
    groups = magnitudes.reshape(-1, 4, columns)
    order = np.argsort(-groups, axis=1, kind="stable")
    mask = np.zeros_like(groups)
    np.put_along_axis(mask, order[:, :2], 1.0, axis=1)
    return mask.reshape(-1, columns)[:rows].astype(weights.dtype)
