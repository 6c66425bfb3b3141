"""Subword models, which split words with a vocabulary: each kind is a module that is registered here under its name."""

from __future__ import annotations

import importlib
from typing import Dict, Type

from tokenizers import Tokenizer

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.tokenization.subwords.limits import require_limited
from rasa_compressed_bert.tokenization.subwords.subword_model import SubwordModel

_MODELS: Dict[str, str] = {
    "WordPiece": "rasa_compressed_bert.tokenization.subwords.wordpiece",
    "Unigram": "rasa_compressed_bert.tokenization.subwords.unigram",
    "BPE": "rasa_compressed_bert.tokenization.subwords.byte_level_bpe",
}


def subword_model(library: Tokenizer) -> SubwordModel:
    """The subword model of a tokenizer, whose pre-tokenizer it adapts.

    Raises:
        WeightsError: if the kind of tokenizer is not supported, or may take very much time or memory.
    """
    kind = type(library.model).__name__
    if kind not in _MODELS:
        raise WeightsError(f"The tokenizer has a '{kind}' vocabulary, which is not supported; use {_supported()}.")
    require_limited(library)
    model: Type[SubwordModel] = importlib.import_module(_MODELS[kind]).MODEL
    return model(library)


def _supported() -> str:
    return "WordPiece, Unigram or byte-level BPE"
