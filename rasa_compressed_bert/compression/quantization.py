"""Quantization of matrices to 8-bit integers with scales: uniform, or with the few values that k-means finds.

Both give `w ~ q s`, where `q` is int8 and `s` a scale for each output channel or one for the matrix; they differ in
which of the 255 integers are used. So a matrix of 2-bit weights is served with the same 8-bit product, and stored as a
code book of 4 integers with 2-bit indices (Han et al. 2015, arXiv 1510.00149; Zhao et al. 2020, arXiv 2010.07109).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.models.shape import POSITION_BIAS

TABLES = "embeddings."  # prefix of the names of tables
WORD, POSITION = "embeddings.word", "embeddings.position"
LEVELS, WORD_LEVELS = 127, 31  # largest absolute values of 8 and of 6 bits
_BINS, _ROUNDS = 4096, 100
_SMOOTHING, _LEAST = 0.7, 1e-3  # share of the range that moves to the weights; smallest relative size of a channel
_TINY = 1e-12
_HALF = 0.499  # of a step, without what is rounded otherwise by an error in the last digit
SPARSE = 1 / 8  # share of zeros above which a bit mask saves space


class Quantized(NamedTuple):
    """A quantized matrix, `values * scale`, with a scale for each column, for each row or for the whole matrix."""

    values: np.ndarray  # (rows, columns) int8
    scale: np.ndarray  # float32, (1, columns), (rows, 1) or (1, 1)

    def dequantized(self) -> np.ndarray:
        """The dequantized float32 matrix.  # (rows, columns)"""
        return self.values.astype(np.float32) * self.scale


@dataclass(frozen=True)
class Calibration:
    """What quantization needs besides the weights.

    Attributes:
        codebooks: see `codebooks_for`, by the stored name of a matrix; for the method kmeans.
        smoothing: see `smoothing_for`, by the same name without `.kernel`; for 8-bit activations.
        ranges: the smallest and the largest input of each matrix product after smoothing, by the same name; for
            static_int8.
    """

    codebooks: Mapping[str, np.ndarray] = field(default_factory=dict)
    smoothing: Mapping[str, np.ndarray] = field(default_factory=dict)
    ranges: Mapping[str, Tuple[float, float]] = field(default_factory=dict)


NOT_CALIBRATED = Calibration()


def quantize_uniform(matrix: np.ndarray, *, axis: Optional[int], levels: int = LEVELS) -> Quantized:
    """`q = round(w / s)` with `s = max|w| / levels` (Jacob et al. 2017, arXiv 1712.05877).

    Args:
        matrix: the matrix to quantize.
        axis: the axis along which elements share a scale; None for one scale of the whole matrix.
        levels: the largest integer, at most 127.
    """
    largest = np.max(np.abs(matrix), axis=axis, keepdims=True, initial=0.0)
    scale = np.where(largest > 0, largest / levels, 1.0).astype(np.float32)
    return Quantized(np.clip(np.rint(matrix / scale), -levels, levels).astype(np.int8), scale)


def quantize_by_codebook(matrix: np.ndarray, codebook: np.ndarray, *, axis: Optional[int]) -> Quantized:
    """Rounds every element, in units of its channel's size, to the nearest value of a code book.

    Weights that weight pruning has set to zero stay zero.

    Args:
        matrix: the matrix to quantize.
        codebook: the result of `fit_codebook`, increasing, `(K,)`.
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
    """Fits the centres of k-means, rounded to a grid of 8-bit integers.

    Lloyd's algorithm runs on a histogram, which in one dimension is as good as all values of a large matrix, and fast.
    The initial centres have a density proportional to the cube root of that of the values, which is optimal for many
    centres (Panter and Dite 1951).

    Args:
        values: numbers of any shape, in units of their channels' sizes.
        bits: 1 to 8; there are at most `2^bits` centres.

    Returns:
        Increasing float32 numbers, `(K,)`, multiples of 1/127 of the largest absolute value among them.
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
    """The sizes of channels, which scale the values of a code book: root mean squares, never 0; 1 without channels.

    Returns:
        `(1, columns)`, `(rows, 1)` or `(1, 1)`.
    """
    if axis is None:
        return np.ones((1, 1))
    return np.maximum(np.sqrt(np.mean(np.square(matrix, dtype=np.float64), axis=axis, keepdims=True)), _TINY)


def is_sparse(matrix: np.ndarray) -> bool:
    """Whether a matrix has undergone weight pruning: more than an eighth of it is exactly zero."""
    return bool(np.mean(matrix == 0) > SPARSE)


def codebooks_for(parameters: Mapping[str, np.ndarray], config: QuantizationConfig) -> Dict[str, np.ndarray]:
    """A code book for each table of embeddings and each matrix of the layers, by their stored names.

    Heads keep uniform 8-bit quantization: they are small, and their outputs are the predictions.
    """
    groups: Dict[str, List[np.ndarray]] = defaultdict(list)
    for name, value in parameters.items():
        if is_matrix(name, value) and name.startswith(("embeddings.", "layers.")):
            scaled = value / channel_sizes(value, scale_axis(name, config))
            groups[stored_name(name)].append(scaled[scaled != 0] if is_sparse(value) else scaled.ravel())
    bits = {name: config.embedding_bits if name in (WORD, POSITION) else config.encoder_bits for name in groups}
    return {name: fit_codebook(np.concatenate(parts), bits[name]) for name, parts in groups.items()}


def smoothing_for(parameters: Mapping[str, np.ndarray], extremes: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Factors that equalize the channels of activations, `(x / s) @ (s w)` (SmoothQuant, Xiao et al. 2022, 2211.10438).

    `s_j = max|x_j|^0.7 / max|w_j|^0.3`. One channel of a BERT's hidden states can be 20 times as large as the others,
    for which few of the 8 bits are left then; columns of weights have scales of their own and lose less.

    Args:
        parameters: the parameters of the model.
        extremes: the smallest and the largest value of each channel, by name, `(2, rows)`.
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
    """The calibration for a format.

    Args:
        parameters: the parameters of the model.
        config: the format.
        extremes: the extremes of activations, see `smoothing_for`; without them, nothing is smoothed.
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
    """Quantizes a named matrix to the format that the options ask for."""
    stored, axis = stored_name(name), scale_axis(name, config)
    if stored in calibration.codebooks:
        return quantize_by_codebook(matrix, calibration.codebooks[stored], axis=axis)
    factors = calibration.smoothing.get(stored.replace(".kernel", ""))
    smoothed = matrix if factors is None else matrix * factors[:, np.newaxis]
    return quantize_uniform(smoothed, axis=axis, levels=levels_of(name, config))


def dithered(
    parameters: Mapping[str, np.ndarray], config: QuantizationConfig, rng: np.random.Generator
) -> Dict[str, np.ndarray]:
    """Moves each weight of 8 bits to a random place among those that are rounded to it: `w + s u`, `u ~ U(-1/2, 1/2)`.

    Rounded again, it has the same value. What further training adds to it is kept in the mean, also where that is less
    than half a step (dithering, Schuchman 1964). Weights that are zero stay so, as they may be pruned, and the largest
    ones are not moved.

    Args:
        parameters: dequantized parameters.
        config: their format. Only with `dynamic_int8` are weights rounded to the same values again; smoothing and code
            books are made anew.
        rng: the source of random numbers.

    Returns:
        The changed parameters by name.
    """
    moved: Dict[str, np.ndarray] = {}
    if config.method != "dynamic_int8":
        return moved
    for name, matrix in parameters.items():
        if is_matrix(name, matrix) and name != POSITION:
            axis = scale_axis(name, config)
            scale = quantize_uniform(matrix, axis=axis, levels=levels_of(name, config)).scale
            sizes = np.abs(matrix)
            stays = (sizes == 0) | (sizes == np.max(sizes, axis=axis, keepdims=True))  # the largest sets the scale
            place = matrix + scale * rng.uniform(-_HALF, _HALF, matrix.shape)
            moved[name] = np.where(stays, matrix, place).astype(np.float32)
    return moved


def scale_axis(name: str, config: QuantizationConfig) -> Optional[int]:
    """The axis along which elements share a scale: 0 for columns, 1 for rows of a lookup table, None for one scale.

    Clustered tables have one scale, as a scale for each row gains nothing there (MiniLM, 53 intents, 2 bits: macro F1
    84.4 % with, 86.6 % without).
    """
    table = name.startswith(TABLES)
    if not config.per_channel or name == POSITION or (table and config.method == "kmeans"):
        return None
    return 1 if table else 0


def is_matrix(name: str, value: np.ndarray) -> bool:
    """Whether a parameter is a table or a matrix; biases for relative positions are small, and stay in floats."""
    return value.ndim == 2 and value.size > 0 and not name.endswith(POSITION_BIAS)


def levels_of(name: str, config: QuantizationConfig) -> int:
    """The largest integer of uniform quantization: 6 bits are enough for embeddings with a scale for each row.

    Rounding hardly matters, as they are not multiplied, and an archive stores 6-bit values in fewer than 6 bits.
    """
    return WORD_LEVELS if name.startswith(TABLES) and config.per_channel else LEVELS


def stored_name(name: str) -> str:
    """The name under which a parameter is stored; query, key and value are stored and multiplied as one matrix."""
    return re.sub(r"\.(query|key|value)\.", ".query_key_value.", name)
