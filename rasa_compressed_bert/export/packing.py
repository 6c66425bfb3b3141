"""Converts parameters to the tensors of a serving graph, and back.

Packing quantizes matrices (`compression.quantization`), joins query, key and value into one matrix (one product instead
of three), and adds the ranges of activations for static quantization. Unpacking restores the parameters up to rounding;
`--finetune` continues from them, so that an archive needs no second copy of the model.
"""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.dequantization import FACTORS, INPUT_SCALE, INPUT_ZERO_POINT, SCALE, dequantized
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.compression.quantization import (
    NOT_CALIBRATED,
    POSITION,
    Calibration,
    is_matrix,
    quantize,
    quantize_by_codebook,
)
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.models.head_layer import TAGGER
from rasa_compressed_bert.models.shape import EncoderShape, shapes_of
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.opening import as_artifact_error

Tensors = Dict[str, np.ndarray]
_JOINED = ("query", "key", "value")
_STEPS = 255  # from the smallest to the largest 8-bit integer


def pack(
    shape: EncoderShape,
    parameters: Mapping[str, np.ndarray],
    quantization: QuantizationConfig,
    calibration: Calibration = NOT_CALIBRATED,
) -> Tensors:
    """The tensors of a serving graph.

    Args:
        shape: the widths.
        parameters: the parameters of `shape.parameter_shapes`, and those of heads.
        quantization: the format.
        calibration: code books, smoothing and ranges, if the format needs them.

    Returns:
        The tensors by name, see `artifact.dequantization`.
    """
    pieces = pack_each(parameters, quantization, calibration)
    if POSITION in calibration.codebooks:  # clustered, but in floats: positions are added, not multiplied
        codebook = calibration.codebooks[POSITION]
        pieces[POSITION] = quantize_by_codebook(parameters[POSITION], codebook, axis=None).dequantized()
    tensors = _joined(shape, pieces)
    for name, factors in calibration.smoothing.items():
        tensors[name + FACTORS] = 1.0 / factors
    for name, (low, high) in calibration.ranges.items():
        scale, zero_point = input_format(low, high)
        tensors[name + INPUT_SCALE], tensors[name + INPUT_ZERO_POINT] = np.array(scale), np.array(zero_point)
    return tensors


def pack_each(
    parameters: Mapping[str, np.ndarray], quantization: QuantizationConfig, calibration: Calibration = NOT_CALIBRATED
) -> Tensors:
    """Packs each parameter by itself: matrices in the given format, all others as floats; empty ones are left out."""
    pieces: Tensors = {}
    for name, value in parameters.items():
        if quantization.method != "none" and is_matrix(name, value) and name != POSITION:
            pieces[name], scale = quantize(name, value, quantization, calibration=calibration)
            pieces[name + SCALE] = scale.reshape(-1)
        elif value.size:
            pieces[name] = np.ascontiguousarray(value, np.float32)
    return pieces


def unpack(shape: EncoderShape, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """The parameters that `pack` was given, up to the rounding of the quantization."""
    values = dequantized(tensors)
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


@as_artifact_error()
def state_of(artifact: Artifact) -> ModelState:
    """The compressed model of an artifact, with its parameters in floats.

    Raises:
        ArtifactError: if the parts of the artifact do not fit each other.
    """
    dense, shape = shapes_of(artifact.manifest)
    parameters = unpack(shape, packed_tensors(artifact))
    for name, dimensions in shape.parameter_shapes().items():
        if parameters[name].shape != dimensions:
            raise ValueError(f"'{name}' has the shape {parameters[name].shape} instead of {dimensions}")
    return ModelState(shape, parameters, artifact.files[TOKENIZER].decode("utf-8"), dense)


def packed_tensors(artifact: Artifact) -> Tensors:
    """The tensors of an artifact of any format version, converted to those of the current one.

    The tagger of version 3 reads a single wordpiece: its kernel is padded with rows of zeros for the two neighbours.
    """
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    kernel, factors = tensors.get(TAGGER.kernel), tensors.get(TAGGER.name + FACTORS)
    rows = artifact.manifest["encoder"]["hidden_size"] if "encoder" in artifact.manifest else 0
    if kernel is not None and len(kernel) == rows:
        tensors[TAGGER.kernel] = np.pad(kernel, ((rows, rows), (0, 0)))
        if factors is not None:
            tensors[TAGGER.name + FACTORS] = np.pad(factors, rows, constant_values=1.0)
    return tensors


def input_format(low: float, high: float) -> Tuple[np.float32, np.uint8]:
    """The scale and the zero point of unsigned 8-bit values for a range, which includes 0."""
    scale = np.float32(max(high - low, 1e-8) / _STEPS)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, _STEPS))


def _joined(shape: EncoderShape, pieces: Mapping[str, np.ndarray]) -> Tensors:
    """Joins query, key and value; a scale of a whole matrix becomes one for each of its columns."""
    of_part = {f"{component}.{part}" for component in _JOINED for part in ("kernel", "bias", "kernel" + SCALE)}
    joined = {name: value for name, value in pieces.items() if ".".join(name.split(".")[2:]) not in of_part}
    for index, layer in enumerate(shape.layers):
        prefix = f"layers.{index}."
        if not layer.num_attention_heads:
            continue
        widths = layer.kernel_shapes(shape.hidden_size)
        for part in ("kernel", "bias"):
            parts = [pieces[f"{prefix}{component}.{part}"] for component in _JOINED]
            joined[f"{prefix}query_key_value.{part}"] = np.concatenate(parts, axis=-1)
        if f"{prefix}query.kernel{SCALE}" in pieces:
            scales = [
                np.broadcast_to(pieces[f"{prefix}{component}.kernel{SCALE}"], widths[component][1])
                for component in _JOINED
            ]
            joined[f"{prefix}query_key_value.kernel{SCALE}"] = np.concatenate(scales)
    return joined
