"""Options of `rasa_compressed_bert.QuantizedBertFeaturizer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, Optional

from rasa_compressed_bert.config.encoder import EncoderConfig
from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem

_SERVING = ("alias", "pooling", "num_threads")


@dataclass(frozen=True)
class QuantizedBertFeaturizerConfig(EncoderConfig):
    """Options of the quantized BERT featurizer, which trains nothing."""

    pooling: str = option(
        "mean",
        str,
        choices=("mean", "cls"),
        help="The sentence feature: the mean of a message's hidden states, or the first one (cls).",
    )
    alias: Optional[str] = option(None, str, optional=True, help="Name of the features; null means the component's.")

    def compression(self) -> Dict[str, Any]:
        """Return the options that the compressed weights depend on; the others affect serving only."""
        return {name: value for name, value in self.to_dict().items() if name not in _SERVING}

    def conflicts(self) -> Iterator[Problem]:
        """Yield the shared contradictions, and quantization-aware training, as a featurizer is not trained."""
        yield from super().conflicts()
        if self.quantization.aware_training:
            yield Problem(
                ("quantization.aware_training",),
                "quantization.aware_training: true is for components that are trained, and a featurizer is not; "
                "leave it out, or use PrunedBertIntentClassifier",
            )
