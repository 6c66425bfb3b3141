"""A pretrained model, wherever it was read from."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

import numpy as np

from rasa_compressed_bert.models.shape import EncoderShape


class Checkpoint(NamedTuple):
    """A pretrained model: its widths, its parameters (our names), its tokenizer (the `tokenizers` library's JSON)."""

    shape: EncoderShape
    parameters: Dict[str, np.ndarray]
    pooler: Optional[Dict[str, np.ndarray]]  # "pooler.kernel" (H, H) and "pooler.bias" (H,), where it has one
    tokenizer: str
    token_type: Optional[np.ndarray] = None  # (E,), the second type's embedding without the first's, if it has two
    answerer: Optional[Dict[str, np.ndarray]] = None  # `ANSWERER`'s, of a model that was trained to answer questions
