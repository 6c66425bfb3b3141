"""Byte-level BPE (Radford et al. 2019): merges of bytes, applied in the order in which training found them.

A merge needs both of its parts in the vocabulary. With a piece, all its parts are kept, down to single bytes, so that
words whose pieces are kept are encoded as before. Any text can be written in bytes.
"""

from __future__ import annotations

import json
from typing import Any, Collection, Dict, List, Mapping, Set, Tuple

from tokenizers import Tokenizer, pre_tokenizers

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.tokenization.subwords.subword_model import SEPARATOR, SubwordModel


class ByteLevelBpe(SubwordModel):
    """Words begin with the character that stands for a space."""

    mark = "\u0120"

    def __init__(self, library: Tokenizer):
        super().__init__(library)
        steps = _steps(library.pre_tokenizer)
        bytes_of = [step for step in steps if step["type"] == "ByteLevel"]
        if not bytes_of:
            raise WeightsError(
                "The tokenizer has a BPE vocabulary of characters, which is not supported; use WordPiece, Unigram or "
                "byte-level BPE."
            )
        self._begins_with_blank = any(step["add_prefix_space"] for step in bytes_of)
        for step in bytes_of:
            step["add_prefix_space"] = False  # otherwise every part of a word would get a mark
        marks = pre_tokenizers.Sequence([])
        marks.__setstate__(json.dumps({"type": "Sequence", "pretokenizers": steps}).encode("utf-8"))
        library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(SEPARATOR, "removed"), marks])

    def written(self, text: str) -> str:
        """See `SubwordModel`; adds the space that some tokenizers put before a text."""
        return f" {text}" if self._begins_with_blank and text and not text.startswith(" ") else text

    def spelling(self, piece: str) -> str:
        """See `SubwordModel`; a part of a character is written as U+FFFD."""
        plain = super().spelling(piece)
        return bytes(_BYTES.get(character, 0) for character in plain).decode("utf-8", "replace")

    def is_spelled(self, piece: str, known: Collection[str]) -> bool:
        """See `SubwordModel`: bytes can spell everything."""
        return True

    def indispensable(self, model: Mapping[str, Any]) -> Set[str]:
        """See `SubwordModel`: the bytes."""
        return {piece for piece in model["vocab"] if len(piece) == 1}

    def parts(self, model: Mapping[str, Any]) -> Mapping[str, List[str]]:
        """See `SubwordModel`: both sides of all merges that result in a piece."""
        found: Dict[str, List[str]] = {}
        for left, right in map(_sides, model["merges"]):
            found.setdefault(left + right, []).extend((left, right))
        return found

    def select(self, model: Dict[str, Any], ids: Mapping[str, int]) -> None:
        """See `SubwordModel`."""
        super().select(model, ids)
        model["merges"] = [merge for merge in model["merges"] if ids.keys() >= {*_sides(merge), "".join(_sides(merge))}]


def _sides(merge: Any) -> Tuple[str, str]:
    """The two sides of a merge, which the library writes as a text with a space or as a list."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _steps(pre_tokenizer: Any) -> List[Dict[str, Any]]:
    """The JSON of the pre-tokenizers of which a pre-tokenizer consists."""
    if pre_tokenizer is None:
        return []
    state = json.loads(pre_tokenizer.__getstate__())
    return list(state.get("pretokenizers", [state]))


def _bytes_of_characters() -> Dict[str, int]:
    """The byte of each character in pieces: printable bytes are their own characters, others begin at U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{chr(byte): byte for byte in printable}, **{chr(256 + n): byte for n, byte in enumerate(others)}}


_BYTES = _bytes_of_characters()
MODEL = ByteLevelBpe
