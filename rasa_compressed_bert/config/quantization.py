"""Options of quantization: the number format of the served weights."""

from __future__ import annotations

from dataclasses import dataclass

from rasa_compressed_bert.config.options import option


@dataclass(frozen=True)
class QuantizationConfig:
    """Options of the section `quantization`."""

    method: str = option(
        "dynamic_int8",
        str,
        choices=("none", "dynamic_int8"),
        help="Format of the served model: floats, or 8-bit weights with activations scaled message by message.",
    )
    per_channel: bool = option(
        True, bool, help="Whether every output channel of a matrix has its own scale, rather than the matrix one."
    )
