"""Options shared by all components that serve a compressed BERT encoder, fine-tuned or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from rasa_compressed_bert.config.component import ComponentConfig
from rasa_compressed_bert.config.options import option, section
from rasa_compressed_bert.config.quantization import QuantizationConfig

DEFAULT_VOCABULARY_SIZE = 16_000
LARGE_VOCABULARY = 80_000
"""Wordpieces; vocabularies of one language have 20,000 to 65,000, those of many languages 105,000 to 501,153."""


@dataclass(frozen=True)
class EncoderConfig(ComponentConfig):
    """Weights, their compression and the inference library; `vocabulary_size` has a value where it is used."""

    model_weights: str = option(
        "all-MiniLM-L6-v2",
        str,
        help="Pretrained weights: a local folder, an alias of weights that a Python package ships (all-MiniLM-L6-v2, "
        "for English, or multilingual-e5-small) or a Hugging Face name.",
    )
    max_length: int = option(
        128,
        int,
        low=3,
        high=512,
        help="Maximum number of wordpieces of a message, the two special ones included; longer messages are truncated. "
        "At most 100 times as many characters are read.",
    )
    vocabulary: str = option(
        "auto",
        str,
        choices=("auto", "full", "trim"),
        help="Whether all wordpieces are kept (full), or only those of the training data, single characters and the "
        "most likely ones of its language (trim): any text in its scripts can still be encoded, with more wordpieces. "
        f"auto trims vocabularies of more than {LARGE_VOCABULARY} to {DEFAULT_VOCABULARY_SIZE}, or to all those of the "
        "training data if these are more. A bot for languages that the training data lacks needs full.",
    )
    vocabulary_size: int = option(
        None,
        int,
        low=1,
        optional=True,
        requires={"vocabulary": ("trim",)},
        help=f"Number of wordpieces that trim keeps, special and single-character ones included; null means "
        f"{DEFAULT_VOCABULARY_SIZE}.",
    )
    num_threads: int = option(1, int, low=0, high=256, help="Threads of the serving engine; 0 means all cores.")
    runtime: str = option(
        "onnxruntime",
        str,
        choices=("onnxruntime", "tflite", "tensorflow"),
        help="Inference library that serves the model; tensorflow computes in floats, whatever the weights' format.",
    )
    quantization: QuantizationConfig = section(QuantizationConfig)

    def __post_init__(self) -> None:
        if self.vocabulary == "trim" and self.vocabulary_size is None:
            object.__setattr__(self, "vocabulary_size", DEFAULT_VOCABULARY_SIZE)

    @property
    def weights_to_start_from(self) -> Optional[str]:
        """The pretrained weights."""
        return self.model_weights

    @property
    def weights_option(self) -> str:
        """The option `model_weights`."""
        return "model_weights"
