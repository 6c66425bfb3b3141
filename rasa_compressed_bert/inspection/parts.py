"""The parts of an encoder, and the ways in which each of them can be compressed alone.

A part consists of the matrices of one component of one layer (query and key together), of a whole layer, or of one
component in all layers, of the word embeddings, or of all of these. Bits are those of k-means
(`compression.quantization`), with a codebook for each matrix; sparsity is that of unstructured magnitude pruning, with
the same share of each matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.compression.quantization import WORD, Calibration, codebooks_for, quantize
from rasa_compressed_bert.compression.weight_pruning import magnitude_mask
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.models.shape import EncoderShape

COMPONENTS = {
    "query_key": ("query", "key"),
    "value": ("value",),
    "attention_output": ("attention_output",),
    "intermediate": ("intermediate",),
    "output": ("output",),
}


class Target(NamedTuple):
    """A part of the model.

    Attributes:
        name: shown to users and stored in the results.
        group: `model`, `component` (of all layers), `layer`, or `part` (a component of a layer).
        matrices: names of its parameters in the model.
    """

    name: str
    group: str
    matrices: Tuple[str, ...]


class Setting(NamedTuple):
    """How a part is compressed."""

    kind: str  # bits or sparsity
    value: float


@dataclass(frozen=True)
class Sweep:
    """All settings with which each part is compressed, one at a time.

    Attributes:
        bits: of k-means, 1 to 8.
        sparsity: shares of the weights that are set to zero, at least 0 and less than 1.
        per_channel: whether every output channel has its own scale.

    Raises:
        ConfigError: if a value is out of its range.
    """

    bits: Tuple[int, ...] = (8, 4, 3, 2, 1)
    sparsity: Tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 0.9)
    per_channel: bool = True

    def __post_init__(self) -> None:
        problems = [f"bits: {bits} is not from 1 to 8" for bits in self.bits if not 1 <= bits <= 8]
        problems += [f"sparsity: {s} is not at least 0 and less than 1" for s in self.sparsity if not 0 <= s < 1]
        if problems:
            raise ConfigError(*problems)

    def settings(self) -> List[Setting]:
        """All settings, bits first."""
        return [*(Setting("bits", bits) for bits in self.bits), *(Setting("sparsity", s) for s in self.sparsity)]

    def compressed(self, name: str, matrix: np.ndarray, setting: Setting) -> np.ndarray:
        """A matrix compressed with a setting, as floats.  # (rows, columns)"""
        if setting.kind == "sparsity":
            return matrix * magnitude_mask(matrix, setting.value)
        bits = int(setting.value)
        config = QuantizationConfig("kmeans", per_channel=self.per_channel, encoder_bits=bits, embedding_bits=bits)
        calibration = Calibration(codebooks=codebooks_for({name: matrix}, config))
        return quantize(name, matrix, config, calibration=calibration).dequantized()


def targets(shape: EncoderShape) -> List[Target]:
    """All parts of an encoder, the largest first, without those that pruning has removed entirely."""
    sizes = {name: int(np.prod(size)) for name, size in shape.parameter_shapes().items()}
    layers = range(len(shape.layers))

    def matrices(indices: Sequence[int], component: str) -> Tuple[str, ...]:
        return tuple(f"layers.{index}.{matrix}.kernel" for index in indices for matrix in COMPONENTS[component])

    encoder = tuple(shape.kernel_names())
    of_layer = {index: tuple(name for c in COMPONENTS for name in matrices([index], c)) for index in layers}
    parts = [
        Target("encoder + embeddings", "model", (*encoder, WORD)),
        Target("encoder", "model", encoder),
        Target("embeddings", "model", (WORD,)),
        *(Target(f"all layers, {component}", "component", matrices(layers, component)) for component in COMPONENTS),
        *(Target(f"layer {index}", "layer", of_layer[index]) for index in layers),
        *(Target(f"layer {i}, {c}", "part", matrices([i], c)) for i in layers for c in COMPONENTS),
    ]
    left = [part._replace(matrices=tuple(name for name in part.matrices if sizes[name])) for part in parts]
    return [part for part in left if part.matrices]
