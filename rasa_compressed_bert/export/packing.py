"""Parameters as the tensors that a serving graph needs, and back.

Packing joins query, key and value into one matrix (one product instead of three) and quantizes matrices to int8,
symmetrically, `q = round(w / s)` with `s = max|w| / 127` (Jacob et al. 2017, arXiv 1712.05877) per column, or per
tensor. Word embeddings, half of a small BERT, are quantized per row, since a row is what is looked up, and to 6 bits:
they are not multiplied, so that rounding hardly matters, and a compressed archive stores 6-bit values in 6 bits.
Unpacking gives the parameters that the packed ones stand for: it is what `--finetune` continues from, so that an
archive carries no second copy of the model.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from rasa_compressed_bert.models.shape import EncoderShape

Tensors = Dict[str, np.ndarray]
SCALE = ".scale"  # suffix of the scales of a quantized tensor
_JOINED = ("query", "key", "value")
_WORD = "embeddings.word"
_LEVELS, _WORD_LEVELS = 127, 31  # largest absolute values of 8 and of 6 bits


def pack(shape: EncoderShape, parameters: Mapping[str, np.ndarray], *, int8: bool, per_channel: bool) -> Tensors:
    """The tensors of a serving graph.

    Args:
        shape: the widths.
        parameters: the parameters that `shape` names, and those of a head.
        int8: quantize the matrices, or keep all in float32.
        per_channel: one scale a column (a row for word embeddings) instead of one a matrix.

    Returns:
        Name to tensor; a quantized tensor `x` is int8 and has its scales in `x.scale`.
    """
    tensors: Tensors = {}
    for name, value in _joined(shape, parameters).items():
        if int8 and value.ndim == 2 and value.size and name != "embeddings.position":
            by_row = per_channel and name == _WORD
            axis = (1 if by_row else 0) if per_channel else None
            levels = _WORD_LEVELS if by_row else _LEVELS
            tensors[name], tensors[name + SCALE] = quantize(value, axis=axis, levels=levels)
        elif value.size:
            tensors[name] = np.ascontiguousarray(value, np.float32)
    return tensors


def unpack(shape: EncoderShape, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """The parameters that `pack` was given, up to the rounding of the quantization."""
    values = {
        name: dequantize(value, tensors[name + SCALE], by_row=name == _WORD) if name + SCALE in tensors else value
        for name, value in tensors.items()
        if not name.endswith(SCALE)
    }
    parameters = {name: value for name, value in values.items() if ".query_key_value." not in name}
    for index, layer in enumerate(shape.layers):
        widths = [layer.kernel_shapes(shape.hidden_size)[component][1] for component in _JOINED]
        for part in ("kernel", "bias"):
            joined = values.get(f"layers.{index}.query_key_value.{part}", np.zeros((shape.hidden_size, 0), np.float32))
            for component, piece in zip(_JOINED, np.split(joined, np.cumsum(widths)[:-1], axis=-1)):
                parameters[f"layers.{index}.{component}.{part}"] = piece
    for name, dimensions in shape.parameter_shapes().items():
        if 0 in dimensions:
            parameters[name] = np.zeros(dimensions, np.float32)
    return parameters


def quantize(value: np.ndarray, *, axis: Optional[int], levels: int = _LEVELS) -> Tuple[np.ndarray, np.ndarray]:
    """Integers from -levels to levels and their float32 scales.

    Args:
        value: a matrix.
        axis: the one whose elements share a scale; None for one scale of the whole matrix.
        levels: the largest integer, at most 127.
    """
    largest = np.max(np.abs(value), axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / levels, 1.0).astype(np.float32)
    quantized = np.clip(np.rint(value / scale), -levels, levels).astype(np.int8)
    return np.ascontiguousarray(quantized), np.ascontiguousarray(scale.reshape(-1))


def dequantize(value: np.ndarray, scale: np.ndarray, *, by_row: bool) -> np.ndarray:
    """The float32 values that int8 values and their scales stand for."""
    return value.astype(np.float32) * (scale[:, np.newaxis] if by_row else scale)


def _joined(shape: EncoderShape, parameters: Mapping[str, np.ndarray]) -> Tensors:
    joined = {name: value for name, value in parameters.items() if name.split(".")[-2] not in _JOINED}
    for index in range(len(shape.layers)):
        for part in ("kernel", "bias"):
            pieces = [parameters[f"layers.{index}.{component}.{part}"] for component in _JOINED]
            joined[f"layers.{index}.query_key_value.{part}"] = np.concatenate(pieces, axis=-1)
    return joined
