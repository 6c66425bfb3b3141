"""Unigram (Kudo 2018, arXiv 1804.10959): the segmentation with the largest sum of log probabilities.

If some pieces are removed, the best segmentation of a word is still the best unless it used one of them. An unknown
character costs 10 more than the lowest score, so the piece with that score is always kept.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, Dict, List, Mapping, Set, Tuple

from tokenizers import Tokenizer, pre_tokenizers

from rasa_compressed_bert.tokenization.subwords.subword_model import SEPARATOR, SubwordModel

_BYTE = "<0x{:02X}>"  # pieces of models that write unknown characters byte by byte
_MOST_OF_ONE = 18  # characters of U+FDFA after NFKC


@lru_cache(maxsize=4096)
def _normalized_length(character: str) -> int:
    return len(unicodedata.normalize("NFKC", character))


class Unigram(SubwordModel):
    """Words begin with SentencePiece's mark."""

    mark = "\u2581"

    def __init__(self, library: Tokenizer):
        super().__init__(library)
        removed = pre_tokenizers.Split(SEPARATOR, "removed")
        marks = [library.pre_tokenizer] if library.pre_tokenizer else []
        library.pre_tokenizer = pre_tokenizers.Sequence([*marks, removed])

    def shortened(self, text: str, most: int) -> str:
        """See `SubwordModel`: the normalisation of these vocabularies, NFKC, makes up to 18 characters of one."""
        if text.isascii() or _MOST_OF_ONE * len(text) <= most:
            return text
        for place, character in enumerate(text):
            most -= _normalized_length(character)
            if most < 0:
                return text[:place]
        return text

    def normalized_length(self, text: str) -> int:
        """See `SubwordModel`."""
        return len(text) if text.isascii() else sum(map(_normalized_length, text))

    def pieces(self, model: Mapping[str, Any]) -> Dict[str, int]:
        """See `SubwordModel`."""
        return {piece: index for index, (piece, _) in enumerate(model["vocab"])}

    def indispensable(self, model: Mapping[str, Any]) -> Set[str]:
        """See `SubwordModel`: the mark, the piece with the lowest score, the unknown one, and bytes."""
        vocabulary: List[Tuple[str, float]] = model["vocab"]
        known = {piece for piece, _ in vocabulary}
        lowest = min(vocabulary, key=lambda entry: entry[1])[0]
        unknown = [] if model.get("unk_id") is None else [vocabulary[model["unk_id"]][0]]
        return {self.mark, lowest, *unknown, *(_BYTE.format(byte) for byte in range(256))} & known

    def frequencies(self, model: Mapping[str, Any]) -> Dict[str, float]:
        """See `SubwordModel`: the scores."""
        return {piece: score for piece, score in model["vocab"]}

    def select(self, model: Dict[str, Any], ids: Mapping[str, int]) -> None:
        """See `SubwordModel`."""
        scores = self.frequencies(model)
        if model.get("unk_id") is not None:
            model["unk_id"] = ids[model["vocab"][model["unk_id"]][0]]
        model["vocab"] = [[piece, scores[piece]] for piece in ids]


MODEL = Unigram
