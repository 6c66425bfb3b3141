"""Subword models, which split words with a vocabulary: each kind is a module that is registered here under its name."""

from __future__ import annotations

import base64
import importlib
import json
import math
from typing import Any, Dict, Iterator, List, Type

from tokenizers import Tokenizer

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.tokenization.subwords.subword_model import SubwordModel

_MODELS: Dict[str, str] = {
    "WordPiece": "rasa_compressed_bert.tokenization.subwords.wordpiece",
    "Unigram": "rasa_compressed_bert.tokenization.subwords.unigram",
    "BPE": "rasa_compressed_bert.tokenization.subwords.byte_level_bpe",
}


_MOST_CHARACTERS = 100
"""The largest number of characters to which one may be normalized.

In known vocabularies, replacements of a character are empty or a space."""


def subword_model(library: Tokenizer) -> SubwordModel:
    """The subword model of a tokenizer, whose pre-tokenizer it adapts.

    Raises:
        WeightsError: if the kind of tokenizer is not supported, or if its normalizer makes short texts very long.
    """
    kind = type(library.model).__name__
    if kind not in _MODELS:
        raise WeightsError(f"The tokenizer has a '{kind}' vocabulary, which is not supported; use {_supported()}.")
    normalizer = library.normalizer  # compared with None, as a sequence of normalizers is falsy in tokenizers 0.15
    if (
        normalizer is not None
        and math.prod(_replacement_lengths(json.loads(normalizer.__getstate__()))) > _MOST_CHARACTERS
    ):
        raise WeightsError("The tokenizer replaces a character with very many others, which no vocabulary needs.")
    model: Type[SubwordModel] = importlib.import_module(_MODELS[kind]).MODEL
    return model(library)


def _replacement_lengths(state: Any) -> Iterator[int]:
    """The number of characters that each part of a normalizer may make of one, at least 1."""
    if isinstance(state, dict):
        yield max(1, len(state.get("content", "")), len(state.get("prepend", "")))
        yield max(1, *map(len, _replacements(state.get("precompiled_charsmap") or "")))
    for inner in state.values() if isinstance(state, dict) else state if isinstance(state, list) else ():
        yield from _replacement_lengths(inner)


def _replacements(charsmap: str) -> List[bytes]:
    """The replacements in a table of SentencePiece: the size of an index, the index, and texts that end with NUL."""
    table = base64.b64decode(charsmap)
    return table[4 + int.from_bytes(table[:4], "little") :].split(b"\0")


def _supported() -> str:
    return "WordPiece, Unigram or byte-level BPE"
