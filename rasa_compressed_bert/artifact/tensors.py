"""Tensors as bytes: safetensors, with mostly-zero tensors stored sparse."""

from __future__ import annotations

import math
from typing import Dict, Mapping

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rasa_compressed_bert.errors import ArtifactError

_MASK, _VALUES = "#mask", "#values"  # of a sparse tensor: a bit for each element, and the elements that are not zero
_SHAPE = "#shape"


def tensors_to_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """One safetensors file; a tensor is stored as bit mask and non-zero values where that is smaller."""
    stored: Dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        present = tensor != 0
        if tensor.size / 8 + present.sum() * tensor.itemsize < tensor.nbytes:
            stored[name + _MASK] = np.packbits(present)
            stored[name + _VALUES] = np.ascontiguousarray(tensor[present])
            stored[name + _SHAPE] = np.array(tensor.shape, np.int64)
        else:
            stored[name] = np.ascontiguousarray(tensor)
    return save(stored)


def tensors_from_bytes(data: bytes) -> Dict[str, np.ndarray]:
    """The inverse of `tensors_to_bytes`.

    Raises:
        ArtifactError: if the bytes are no such file.
    """
    try:
        stored = load(data)
        tensors = {name: tensor for name, tensor in stored.items() if "#" not in name}
        for key in [key for key in stored if key.endswith(_MASK)]:
            name = key[: -len(_MASK)]
            shape, values = tuple(stored[name + _SHAPE].tolist()), stored[name + _VALUES]
            size = math.prod(shape)
            if min(shape) < 0 or len(stored[key]) != -(-size // 8):
                raise ValueError(f"the mask of '{name}' does not fit its shape {shape}")
            present = np.unpackbits(stored[key], count=size).astype(bool)
            tensors[name] = np.zeros(shape, values.dtype)
            tensors[name][present.reshape(shape)] = values
        return tensors
    except (SafetensorError, KeyError, ValueError, IndexError) as error:
        raise ArtifactError(f"weights.safetensors cannot be read: {error}") from error
