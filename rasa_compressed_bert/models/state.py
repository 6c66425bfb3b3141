"""The state of a model: its shape, its parameters and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional

import numpy as np

from rasa_compressed_bert.models.shape import EncoderShape


@dataclass(frozen=True)
class ModelState:
    """A model as it is read from pretrained weights, trained and exported.

    Attributes:
        shape: the widths of the encoder.
        parameters: the parameters of the encoder and of its heads; pretrained weights may have a pooler, a second token
            type and an answer head.
        tokenizer: the `tokenizers` library's JSON.
        uncompressed: the widths before pruning and trimming; None if the model was neither pruned nor trimmed.
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
        """The widths before pruning and trimming."""
        return self.uncompressed or self.shape
