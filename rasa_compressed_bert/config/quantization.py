"""Options of quantization: the number format of the stored and of the served weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from rasa_compressed_bert.config.component import Problem
from rasa_compressed_bert.config.options import option

_BITS = 8


@dataclass(frozen=True)
class QuantizationConfig:
    """Options of the section `quantization`."""

    method: str = option(
        "dynamic_int8",
        str,
        choices=("none", "dynamic_int8", "static_int8", "kmeans"),
        help="Format of the model: floats; 8-bit weights with activations scaled message by message (dynamic_int8) or "
        "by ranges found in training (static_int8); weights that take 2^bits values (kmeans), served in 8 bits.",
    )
    aware_training: bool = option(
        False, bool, help="Whether a last stretch of training runs on quantized weights and activations."
    )
    per_channel: bool = option(
        True, bool, help="Whether every output channel of a matrix has its own scale, rather than the matrix one."
    )
    encoder_bits: int = option(_BITS, int, low=1, high=8, help="Bits of a weight of the layers, with method kmeans.")
    embedding_bits: int = option(_BITS, int, low=1, high=8, help="Bits of a weight of the embeddings, with kmeans.")

    def conflicts(self) -> Iterator[Problem]:
        """Yield the contradictions within the section."""
        for name in ("encoder_bits", "embedding_bits"):
            bits = getattr(self, name)
            if bits != _BITS and self.method != "kmeans":
                yield Problem(
                    (f"quantization.{name}", "quantization.method"),
                    f"quantization.{name}: {bits} is only for quantization.method: kmeans, not {self.method}; "
                    f"change method or leave {name} out",
                )
        if self.aware_training and self.method == "none":
            yield Problem(
                ("quantization.aware_training", "quantization.method"),
                "quantization.aware_training: true needs something to be aware of, and quantization.method is none; "
                "set method to dynamic_int8, static_int8 or kmeans, or aware_training to false",
            )
