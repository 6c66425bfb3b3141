"""Converts quantized tensors to floats.

A quantized tensor `x` is int8 and has its scales in `x.scale`: one for each column (for embeddings, each row), or a
single one. The input of a matrix `m.kernel` is multiplied by `m.input_factors`, if there are any; with static
quantization, it has `m.input_scale` and `m.input_zero_point`: `real = input_scale (quantized - input_zero_point)`.
"""

from __future__ import annotations

from typing import Dict, Mapping

import numpy as np

from rasa_compressed_bert.errors import ArtifactError

SCALE, FACTORS = ".scale", ".input_factors"
INPUT_SCALE, INPUT_ZERO_POINT = ".input_scale", ".input_zero_point"
FORMAT = (SCALE, FACTORS, INPUT_SCALE, INPUT_ZERO_POINT)  # suffixes of tensors that are not weights
_KERNEL, _BY_ROW = ".kernel", "embeddings."


def dequantized(tensors: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """The float32 matrices, tables and vectors of a model, from any format.

    Raises:
        ArtifactError: if scales or factors do not fit their tensor.
    """
    floats = {name: value for name, value in tensors.items() if not name.endswith(FORMAT)}
    for name in floats:
        if name + SCALE in tensors:
            scale = tensors[name + SCALE]
            by_row = name.startswith(_BY_ROW) and scale.size > 1
            floats[name] = _scaled(name, floats[name].astype(np.float32), scale[:, np.newaxis] if by_row else scale)
        factors = tensors.get(name[: -len(_KERNEL)] + FACTORS) if name.endswith(_KERNEL) else None
        if factors is not None:
            floats[name] = _scaled(name, floats[name], factors[:, np.newaxis])
    return floats


def _scaled(name: str, values: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The product of a tensor and its factors, in the shape of the tensor; another one could take any memory."""
    if np.broadcast(values, factors).shape != values.shape:
        raise ArtifactError(f"The scales of '{name}' do not fit it: the model is damaged. Train it again.")
    return values * factors
