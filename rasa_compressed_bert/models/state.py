"""A model before, between and after the stages of its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional

import numpy as np

from rasa_compressed_bert.models.shape import EncoderShape


@dataclass(frozen=True)
class ModelState:
    """What weights are read as, what a stage of training starts from, and what is exported at the end.

    Attributes:
        shape: widths of the encoder.
        parameters: of the encoder and of its heads; pretrained weights may have a pooler, a second token type and the
            head of answers.
        tokenizer: the `tokenizers` library's JSON.
        uncompressed: the widths before anything was pruned or trimmed; None where nothing was.
    """

    shape: EncoderShape
    parameters: Mapping[str, np.ndarray]
    tokenizer: str
    uncompressed: Optional[EncoderShape] = None

    @property
    def encoder_parameters(self) -> Dict[str, np.ndarray]:
        """The parameters of the encoder alone."""
        return {name: self.parameters[name] for name in self.shape.parameter_shapes()}

    @property
    def dense_shape(self) -> EncoderShape:
        """The widths of the model that this one was made from."""
        return self.uncompressed or self.shape
