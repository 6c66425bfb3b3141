"""Options of quantization: the number format of the stored and of the served weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rasa_compressed_bert.config.options import option


def _bits(matrices: str) -> Any:
    return option(
        8,
        int,
        low=1,
        high=8,
        requires={"quantization.method": ("kmeans",)},
        help=f"Bits per weight of the {matrices}.",
    )


@dataclass(frozen=True)
class QuantizationConfig:
    """Options of the section `quantization`."""

    method: str = option(
        "dynamic_int8",
        str,
        choices=("none", "dynamic_int8", "static_int8", "kmeans"),
        help="Number format of the model: floats (none); 8-bit weights with activations scaled per message "
        "(dynamic_int8) or by ranges found in training (static_int8); weights clustered to 2^bits values (kmeans), "
        "served in 8 bits.",
    )
    aware_training: bool = option(
        False,
        bool,
        requires={"quantization.method": ("dynamic_int8", "static_int8", "kmeans")},
        help="Whether the last stage of training runs on quantized weights and activations.",
    )
    per_channel: bool = option(
        True, bool, help="Whether each output channel of a matrix has its own scale, instead of one scale per matrix."
    )
    encoder_bits: int = _bits("layers")
    embedding_bits: int = _bits("embeddings")
