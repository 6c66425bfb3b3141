"""Physical removal of pruned units: cuts the units whose gates are 0 out of the matrices.

The result computes the same as the gated model (within 1e-5 in a property test). All heads of a layer have the same
size; a pruned query or value dimension of a head that has to stay because another head keeps more gets zero columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.models.gates import LayerGates
from rasa_compressed_bert.models.head_layer import layers_on_features
from rasa_compressed_bert.models.shape import POSITION_BIAS, EncoderShape, LayerShape


def shrink(
    shape: EncoderShape, parameters: Mapping[str, np.ndarray], gates: Sequence[LayerGates]
) -> Tuple[EncoderShape, Dict[str, np.ndarray]]:
    """The shape and the parameters after removing the units with closed gates.

    Args:
        shape: the widths before pruning.
        parameters: the parameters of `shape.parameter_shapes`, and those of heads.
        gates: 0 or 1 for every unit; one dictionary for each layer, and one for a pooler (see `models.gates`).
    """
    parameters = dict(parameters)
    layers = []
    for index, (layer, gate) in enumerate(zip(shape.layers, gates)):
        name = f"layers.{index}"
        heads = np.flatnonzero(gate["value"].any(axis=1))
        query_key = _dimensions(gate["query_key"][heads])
        value = _dimensions(gate["value"][heads])
        _cut_columns(parameters, f"{name}.query", layer.query_key_size, heads, query_key, gate["query_key"])
        _cut_columns(parameters, f"{name}.key", layer.query_key_size, heads, query_key, np.ones_like(gate["query_key"]))
        _cut_columns(parameters, f"{name}.value", layer.value_size, heads, value, gate["value"])
        rows = _positions(layer.value_size, heads, value)
        parameters[f"{name}.attention_output.kernel"] = parameters[f"{name}.attention_output.kernel"][rows]
        if shape.relative_buckets:
            parameters[f"{name}.{POSITION_BIAS}"] = parameters[f"{name}.{POSITION_BIAS}"][heads]
        neurons = np.flatnonzero(gate["intermediate"])
        parameters[f"{name}.intermediate.kernel"] = parameters[f"{name}.intermediate.kernel"][:, neurons]
        parameters[f"{name}.intermediate.bias"] = parameters[f"{name}.intermediate.bias"][neurons]
        parameters[f"{name}.output.kernel"] = parameters[f"{name}.output.kernel"][neurons]
        layers.append(LayerShape(len(heads), query_key.shape[1], value.shape[1], len(neurons)))
    for gate in gates[len(shape.layers) :]:
        neurons = np.flatnonzero(gate["pooler"])
        parameters["pooler.kernel"] = parameters["pooler.kernel"][:, neurons]
        parameters["pooler.bias"] = parameters["pooler.bias"][neurons]
        for head in layers_on_features(parameters):
            parameters[head.kernel] = parameters[head.kernel][neurons]
    return replace(shape, layers=tuple(layers)), parameters


def require_layers(layers: Optional[Sequence[int]], shape: EncoderShape) -> None:
    """Refuses layers that an encoder does not have.

    Args:
        layers: the indices of layers, from 0; None for all.
        shape: the shape of the encoder.

    Raises:
        ConfigError: if the encoder lacks one of them.
    """
    count = len(shape.layers)
    if layers is not None and max(layers) >= count:
        raise ConfigError(
            f"pruning.layers: {list(layers)} names layers that do not exist; the weights have layers 0 to {count - 1}"
        )


def keep_layers(
    shape: EncoderShape, parameters: Mapping[str, np.ndarray], layers: Sequence[int]
) -> Tuple[EncoderShape, Dict[str, np.ndarray]]:
    """The shape and the parameters of an encoder with some of its layers, in the given order.

    Args:
        shape: the widths before.
        parameters: the parameters of `shape.parameter_shapes`, and those of heads, which are kept.
        layers: the indices of the layers to keep, from 0.
    """
    kept = {name: value for name, value in parameters.items() if not name.startswith("layers.")}
    for new, old in enumerate(layers):
        prefix = f"layers.{old}."
        own = {name[len(prefix) :]: value for name, value in parameters.items() if name.startswith(prefix)}
        kept.update({f"layers.{new}.{name}": value for name, value in own.items()})
    return replace(shape, layers=tuple(shape.layers[index] for index in layers)), kept


def _dimensions(gate: np.ndarray) -> np.ndarray:
    """The dimensions of each head to keep: the open ones, padded with closed ones to an equal number.  # (N', D')"""
    if not gate.size:
        return np.zeros((0, 0), np.int64)
    width = max(1, int(gate.sum(axis=1).max()))
    return np.sort(np.argsort(-gate, axis=1, kind="stable")[:, :width], axis=1)


def _positions(size: int, heads: np.ndarray, dimensions: np.ndarray) -> np.ndarray:
    return (heads[:, np.newaxis] * size + dimensions).reshape(-1).astype(np.int64)


def _cut_columns(
    parameters: Dict[str, np.ndarray], name: str, size: int, heads: np.ndarray, dimensions: np.ndarray, gate: np.ndarray
) -> None:
    columns = _positions(size, heads, dimensions)
    for part in ("kernel", "bias"):
        parameters[f"{name}.{part}"] = (parameters[f"{name}.{part}"] * gate.reshape(-1))[..., columns]
