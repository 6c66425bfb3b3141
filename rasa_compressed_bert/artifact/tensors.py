"""Serializes tensors with safetensors, in compact forms for tensors with few distinct values or many zeros.

A tensor with few distinct values is stored as a code book and an index for each element: packed indices of 1 to 4 bits,
or else bytes, if these are smaller than the values themselves. (Indices of 5 to 7 bits are stored as bytes, which the
gzip of Rasa's archives compresses to fewer bits than packing would take; packed ones it could not compress.) A sparse
tensor is stored as a bit mask and its non-zero values.
"""

from __future__ import annotations

import math
from typing import Dict, Mapping

import numpy as np
from safetensors import SafetensorError  # type: ignore[attr-defined]  # its stub lacks it
from safetensors.numpy import load, save

from rasa_compressed_bert.artifact.artifact import LARGEST_FILE
from rasa_compressed_bert.errors import ArtifactError

_MASK, _VALUES, _SHAPE = "#mask", "#values", "#shape"  # of a sparse tensor; its values may have a code book too
_INDICES, _CODEBOOK, _SIZE = "#indices", "#codebook", "#size"
_PACKED_BITS, _BYTE = 4, 8
_LOOK = 4096  # elements that are checked first for too many distinct values
_PAYS = 7 / 8  # largest share of non-zero bytes at which a bit mask saves space


def tensors_to_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Serializes tensors to the bytes of a safetensors file."""
    stored: Dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        forms = ({name: np.asarray(tensor, order="C")}, _coded(name, tensor), _sparse(name, tensor))
        smallest = min(filter(None, forms), key=lambda form: sum(part.nbytes for part in form.values()))
        stored.update(smallest)
    return save(stored)


def tensors_from_bytes(data: bytes) -> Dict[str, np.ndarray]:
    """The inverse of `tensors_to_bytes`.

    Raises:
        ArtifactError: if the bytes are not such a file, or if the tensors are larger than `LARGEST_FILE`.
    """
    left = LARGEST_FILE
    try:
        stored = load(data)
        for marker, decode in ((_CODEBOOK, _decoded), (_MASK, _densified)):
            for name in [key[: -len(marker)] for key in stored if key.endswith(marker)]:
                stored[name] = decode(name, stored)
                left -= stored[name].nbytes
                if left < 0:
                    raise ValueError(f"its tensors have more than {LARGEST_FILE} bytes")
        return {name: tensor for name, tensor in stored.items() if "#" not in name}
    except (SafetensorError, KeyError, ValueError, IndexError, TypeError) as error:
        raise ArtifactError(f"weights.safetensors cannot be read: {error}") from error


def _coded(name: str, tensor: np.ndarray) -> Dict[str, np.ndarray]:
    """A code book and indices; empty if there are too many distinct values."""
    most = 2**_PACKED_BITS if tensor.itemsize == 1 else 2**_BYTE
    if not tensor.size or len(np.unique(tensor.ravel()[:_LOOK])) > most:
        return {}
    codebook, indices = np.unique(tensor, return_inverse=True)
    if len(codebook) > most:
        return {}
    bits = max(1, (len(codebook) - 1).bit_length())
    bits = bits if bits <= _PACKED_BITS else _BYTE
    flags = np.unpackbits(indices.astype(np.uint8)[:, np.newaxis], axis=1)[:, -bits:]  # (n, bits)
    return {
        name + _INDICES: np.packbits(flags),
        name + _CODEBOOK: codebook,
        name + _SIZE: np.array([bits, *tensor.shape], np.int64),
    }


def _sparse(name: str, tensor: np.ndarray) -> Dict[str, np.ndarray]:
    """A bit mask and the non-zero values, which may have a code book; empty if a bit mask does not save space."""
    present = tensor != 0
    if not tensor.size or present.mean() > _PAYS:
        return {}
    values = np.ascontiguousarray(tensor[present])
    return {
        name + _MASK: np.packbits(present),
        name + _SHAPE: np.array(tensor.shape, np.int64),
        **(_coded(name + _VALUES, values) or {name + _VALUES: values}),
    }


def _require_size(name: str, size: int) -> None:
    """Refuses a tensor that would take too much memory, as one bit of a file may stand for 8 bytes.

    Raises:
        ValueError: if it is too large.
    """
    if _BYTE * size > LARGEST_FILE:
        raise ValueError(f"'{name}' has {size} elements, which is too many")


def _decoded(name: str, stored: Mapping[str, np.ndarray]) -> np.ndarray:
    bits, *shape = stored[name + _SIZE].tolist()
    size = math.prod(shape)
    if stored[name + _CODEBOOK].ndim != 1:  # otherwise each index would stand for many values
        raise ValueError(f"the code book of '{name}' is not a list of values")
    if min(shape, default=0) < 0 or not 0 < bits <= _BYTE or len(stored[name + _INDICES]) != -(-size * bits // 8):
        raise ValueError(f"the indices of '{name}' do not fit its shape {tuple(shape)}")
    _require_size(name, size)
    flags = np.unpackbits(stored[name + _INDICES], count=size * bits).reshape(size, bits)
    indices = flags @ (1 << np.arange(bits)[::-1]).astype(np.uint8)
    return stored[name + _CODEBOOK][indices].reshape(shape)


def _densified(name: str, stored: Mapping[str, np.ndarray]) -> np.ndarray:
    shape, values = tuple(stored[name + _SHAPE].tolist()), stored[name + _VALUES]
    size = math.prod(shape)
    if min(shape, default=0) < 0 or len(stored[name + _MASK]) != -(-size // 8):
        raise ValueError(f"the mask of '{name}' does not fit its shape {shape}")
    _require_size(name, size)
    tensor = np.zeros(size, values.dtype)
    tensor[np.unpackbits(stored[name + _MASK], count=size).astype(bool)] = values
    return tensor.reshape(shape)
