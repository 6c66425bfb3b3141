"""Matrices as 8-bit integers with scales: evenly spaced levels, or the few values that k-means finds.

Both give `w ~ q s` with `q` int8 and one scale for each output channel, or one for the matrix; what differs is which
of the 255 integers are used. So a matrix of 2-bit weights is served by the same 8-bit product as any other, and stored
as a code book of 4 integers with 2-bit indices (Han et al. 2015, arXiv 1510.00149; Zhao et al. 2020, arXiv 2010.07109).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.models.shape import POSITION_BIAS

TABLES = "embeddings."  # what names of tables begin with
WORD, POSITION = "embeddings.word", "embeddings.position"
LEVELS, WORD_LEVELS = 127, 31  # largest absolute values of 8 and of 6 bits
_BINS, _ROUNDS = 4096, 100
_SMOOTHING, _LEAST = 0.7, 1e-3  # share of the unevenness that weights take over; channels below count as this large
_TINY = 1e-12
SPARSE = 1 / 8  # share of zeros where a bit mask begins to pay


class Quantized(NamedTuple):
    """`values * scale`, where a scale belongs to a column, a row or all of the matrix."""

    values: np.ndarray  # (rows, columns) int8
    scale: np.ndarray  # float32, (1, columns), (rows, 1) or (1, 1)

    def dequantized(self) -> np.ndarray:
        """The float32 matrix that this stands for.  # (rows, columns)"""
        return self.values.astype(np.float32) * self.scale


@dataclass(frozen=True)
class Calibration:
    """What quantization needs besides the weights.

    Attributes:
        codebooks: see `codebooks_for`, by the stored name of a matrix; for method kmeans.
        smoothing: see `smoothing_for`, by the same name without `.kernel`; for 8-bit activations.
        ranges: smallest and largest activation that enters each product, smoothed, by the same name; for static_int8.
    """

    codebooks: Mapping[str, np.ndarray] = field(default_factory=dict)
    smoothing: Mapping[str, np.ndarray] = field(default_factory=dict)
    ranges: Mapping[str, Tuple[float, float]] = field(default_factory=dict)


NOT_CALIBRATED = Calibration()


def quantize_uniform(matrix: np.ndarray, *, axis: Optional[int], levels: int = LEVELS) -> Quantized:
    """`q = round(w / s)` with `s = max|w| / levels` (Jacob et al. 2017, arXiv 1712.05877).

    Args:
        matrix: what is quantized.
        axis: the one whose elements share a scale; None for one scale of the whole matrix.
        levels: the largest integer, at most 127.
    """
    largest = np.max(np.abs(matrix), axis=axis, keepdims=True, initial=0.0)
    scale = np.where(largest > 0, largest / levels, 1.0).astype(np.float32)
    return Quantized(np.clip(np.rint(matrix / scale), -levels, levels).astype(np.int8), scale)


def quantize_by_codebook(matrix: np.ndarray, codebook: np.ndarray, *, axis: Optional[int]) -> Quantized:
    """Every element as the nearest value of a code book, in units of its channel's size.

    What weight pruning set to zero stays zero.

    Args:
        matrix: what is quantized.
        codebook: from `fit_codebook`, increasing, `(K,)`.
        axis: as in `quantize_uniform`.
    """
    size = channel_sizes(matrix, axis)
    step = np.max(np.abs(codebook)) / LEVELS
    values = np.rint(codebook / step).astype(np.int8)
    quantized = values[np.searchsorted((codebook[1:] + codebook[:-1]) / 2, matrix / size)]
    if is_sparse(matrix):
        quantized[matrix == 0] = 0
    return Quantized(quantized, (size * step).astype(np.float32))


def fit_codebook(values: np.ndarray, bits: int) -> np.ndarray:
    """The centres that k-means finds, on the grid of 8-bit integers.

    Lloyd's algorithm on a histogram, which in one dimension is as good as all values of a large matrix and takes no
    time; it starts from the density's cube root, which is where many centres would lie (Panter and Dite 1951).

    Args:
        values: numbers of any shape, in units of their channels' sizes.
        bits: 1 to 8; there are at most `2^bits` centres.

    Returns:
        Increasing float32 numbers of which the largest by size is 127 steps, `(K,)`.
    """
    largest = max(float(np.max(np.abs(values), initial=0.0)), _TINY)
    counts, edges = np.histogram(values / largest, bins=_BINS)
    middles = (edges[1:] + edges[:-1]) / 2
    density = np.cumsum(np.cbrt(counts))
    shares = (np.arange(2**bits) + 0.5) / 2**bits
    centres = middles[np.minimum(np.searchsorted(density, shares * density[-1]), _BINS - 1)]
    for _ in range(_ROUNDS):
        nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, middles)
        weights = np.bincount(nearest, counts, minlength=len(centres))
        sums = np.bincount(nearest, counts * middles, minlength=len(centres))
        moved = np.where(weights > 0, sums / np.maximum(weights, 1), centres)
        if np.allclose(moved, centres, rtol=0, atol=1e-6):
            break
        centres = np.sort(moved)
    step = max(float(np.max(np.abs(centres))), _TINY) / LEVELS
    return np.unique(np.rint(centres / step) * step * largest).astype(np.float32)


def channel_sizes(matrix: np.ndarray, axis: Optional[int]) -> np.ndarray:
    """What a code book's values are multiples of: root mean squares, never 0; without channels, 1.

    Returns:
        `(1, columns)`, `(rows, 1)` or `(1, 1)`.
    """
    if axis is None:
        return np.ones((1, 1))
    return np.maximum(np.sqrt(np.mean(np.square(matrix, dtype=np.float64), axis=axis, keepdims=True)), _TINY)


def is_sparse(matrix: np.ndarray) -> bool:
    """Whether weight pruning was here: more than an eighth is exactly zero."""
    return bool(np.mean(matrix == 0) > SPARSE)


def codebooks_for(parameters: Mapping[str, np.ndarray], config: QuantizationConfig) -> Dict[str, np.ndarray]:
    """A code book for each table of embeddings and matrix of the layers, by the names under which they are stored.

    Heads stay in evenly spaced 8 bits: they are small, and their outputs are the predictions.
    """
    groups: Dict[str, List[np.ndarray]] = defaultdict(list)
    for name, value in parameters.items():
        if is_matrix(name, value) and name.startswith(("embeddings.", "layers.")):
            scaled = value / channel_sizes(value, scale_axis(name, config))
            groups[stored_name(name)].append(scaled[scaled != 0] if is_sparse(value) else scaled.ravel())
    bits = {name: config.embedding_bits if name in (WORD, POSITION) else config.encoder_bits for name in groups}
    return {name: fit_codebook(np.concatenate(parts), bits[name]) for name, parts in groups.items()}


def smoothing_for(parameters: Mapping[str, np.ndarray], extremes: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Factors that make channels of activations alike: `(x / s) @ (s w)` (SmoothQuant: Xiao et al. 2022, 2211.10438).

    `s_j = max|x_j|^0.7 / max|w_j|^0.3`. One channel of a BERT's hidden states can be 20 times as large as the others,
    which then share what is left of 8 bits; columns of weights have scales of their own and lose less.

    Args:
        parameters: of the model.
        extremes: smallest and largest value of each channel, by name, `(2, rows)`.
    """
    largest_weights: Dict[str, np.ndarray] = {}
    for name, kernel in parameters.items():
        if name.endswith(".kernel"):
            stored, largest = stored_name(name)[: -len(".kernel")], np.abs(kernel).max(axis=1, initial=0.0)
            largest_weights[stored] = np.maximum(largest, largest_weights.get(stored, 0.0))
    factors = {}
    for name, channels in extremes.items():
        x, w = np.abs(channels).max(axis=0), largest_weights[name]
        x, w = (np.maximum(values, max(_LEAST * values.max(), _TINY)) for values in (x, w))
        factor = x**_SMOOTHING / w ** (1.0 - _SMOOTHING)
        factors[name] = (factor / np.exp(np.mean(np.log(factor)))).astype(np.float32)
    return factors


def calibration_for(
    parameters: Mapping[str, np.ndarray], config: QuantizationConfig, extremes: Mapping[str, np.ndarray]
) -> Calibration:
    """All that a format needs.

    Args:
        parameters: of the model.
        config: the format.
        extremes: of activations, see `smoothing_for`; without them, nothing is smoothed.
    """
    if config.method == "kmeans":
        return Calibration(codebooks=codebooks_for(parameters, config))
    smoothing, ranges = smoothing_for(parameters, extremes), {}
    if config.method == "static_int8":
        for name, channels in extremes.items():
            low, high = channels / smoothing[name]
            ranges[name] = (float(low.min()), float(high.max()))
    return Calibration(smoothing=smoothing, ranges=ranges)


def quantize(name: str, matrix: np.ndarray, config: QuantizationConfig, *, calibration: Calibration) -> Quantized:
    """A named matrix in the format that the options ask for."""
    stored, axis = stored_name(name), scale_axis(name, config)
    if stored in calibration.codebooks:
        return quantize_by_codebook(matrix, calibration.codebooks[stored], axis=axis)
    factors = calibration.smoothing.get(stored.replace(".kernel", ""))
    smoothed = matrix if factors is None else matrix * factors[:, np.newaxis]
    return quantize_uniform(smoothed, axis=axis, levels=levels_of(name, config))


def scale_axis(name: str, config: QuantizationConfig) -> Optional[int]:
    """The axis along which a scale is shared: a column's elements, a row's of the table that is looked up, or all.

    Clustered tables have one scale: a row's own gains nothing there (MiniLM, 53 intents, 2 bits: 84.4 % macro F1 with,
    86.6 % without).
    """
    table = name.startswith(TABLES)
    if not config.per_channel or name == POSITION or (table and config.method == "kmeans"):
        return None
    return 1 if table else 0


def is_matrix(name: str, value: np.ndarray) -> bool:
    """Whether a parameter is a table or a matrix; biases for relative positions are few, and stay in floats."""
    return value.ndim == 2 and value.size > 0 and not name.endswith(POSITION_BIAS)


def levels_of(name: str, config: QuantizationConfig) -> int:
    """Largest integer of evenly spaced values: embeddings with a scale a row do with 6 bits.

    They are not multiplied, so that rounding hardly matters, and an archive stores 6-bit values in fewer than 6 bits.
    """
    return WORD_LEVELS if name.startswith(TABLES) and config.per_channel else LEVELS


def stored_name(name: str) -> str:
    """Query, key and value are stored, and multiplied, as one matrix."""
    return re.sub(r"\.(query|key|value)\.", ".query_key_value.", name)
