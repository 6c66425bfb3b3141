"""What all subword models have in common.

WordPiece marks the pieces that continue a word (`##`); Unigram and byte-level BPE mark those that begin one (`▁`, `Ġ`),
with the blank before it. So a part of a word that is encoded alone would get a mark, and the offsets of a piece may
have a blank in them. A separator between two parts of a word keeps pieces from crossing it, and adds no mark.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from tokenizers import Tokenizer

SEPARATOR = "\ufdd0"
"""A noncharacter, which Unicode keeps for use inside of programs; in a message it is read as U+FFFD."""
_MASKS = ("[MASK]", "<mask>")
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Chinese and Japanese: each piece is taken for a word."""


_LONGEST_RUN = 100
_RUN = re.compile(r"[^ \t\n\r]+|\s+")  # other blanks are none to some tokenizers


class Places(NamedTuple):
    """Where the pieces of a text lie, and whether each continues the word of the one before it."""

    starts: List[int]
    ends: List[int]
    continues: List[bool]


class SubwordModel:
    """A vocabulary, as text is encoded with it and as pieces are left out of it.

    Args:
        library: the tokenizer; its pre-tokenizer is changed where the separator has to be removed.
    """

    separator = SEPARATOR
    mark = ""
    """What the pieces begin with that begin a word."""

    def __init__(self, library: Tokenizer):
        self._library = library

    @property
    def mask(self) -> Optional[str]:
        """The piece that stands for a word that is left out; None of a vocabulary without one."""
        return next((mask for mask in _MASKS if self._library.token_to_id(mask) is not None), None)

    def words(self) -> Dict[str, int]:
        """Ids of the pieces that are a word or begin one, by what they write."""
        pieces = self._library.get_vocab(with_added_tokens=False)
        return {self.spelling(piece): index for piece, index in pieces.items() if self.begins_word(piece)}

    def written(self, text: str) -> str:
        """A text as it is encoded."""
        return text

    def shortened(self, text: str, most: int) -> str:
        """The beginning of a text that has at most so many characters after normalisation."""
        return text

    def normalized_length(self, text: str) -> int:
        """Characters of a text after normalisation."""
        return len(text)

    def breaks(self, text: str) -> List[int]:
        """Places where runs of more than 100 characters without a blank, and of blanks, are broken.

        The library keeps the pieces of the first 10,000 words that it meets, however long they are: 50 bytes for a
        character, for as long as the tokenizer lives.
        """
        if len(text) <= _LONGEST_RUN:
            return []
        runs = (run.span() for run in _RUN.finditer(text))
        return [place for start, end in runs for place in range(start + _LONGEST_RUN, end, _LONGEST_RUN)]

    def begins_word(self, piece: str) -> bool:
        """Whether a piece is a word or begins one."""
        return piece.startswith(self.mark) and piece != self.mark

    def spelling(self, piece: str) -> str:
        """What a piece writes, without its mark."""
        return piece[len(self.mark) :] if piece.startswith(self.mark) else piece

    def places(
        self,
        text: str,
        pieces: Sequence[str],
        offsets: Sequence[Tuple[int, int]],
        *,
        words: Sequence[int],
        split_points: Collection[int],
    ) -> Places:
        """Where pieces lie in a text, without blanks at their ends; a mark alone has no length.

        Words are split at blanks, at everything that is neither a letter nor a digit, and between the pieces of scripts
        without blanks.

        Args:
            text: that was encoded.
            pieces: of the text.
            offsets: of each piece, as the library has them.
            words: of each piece, as the library numbers them.
            split_points: places in the text that no word crosses.
        """
        found = Places([], [], [])
        before = 0  # the end of the last piece
        for piece, (start, end) in zip(pieces, offsets):
            while start < end and text[start].isspace():
                start += 1
            while start < end and text[end - 1].isspace():
                end -= 1
            if piece == self.mark:
                end = start
            found.starts.append(start)
            found.ends.append(end)
            found.continues.append(
                start < before or (start not in split_points and start < end and _inside_word(text, start))
            )
            before = end
        return found

    def pieces(self, model: Mapping[str, Any]) -> Dict[str, int]:
        """Ids of the pieces.

        Args:
            model: the entry of the library's JSON.
        """
        ids: Dict[str, int] = model["vocab"]
        return ids

    def is_spelled(self, piece: str, known: Collection[str]) -> bool:
        """Whether single characters of the vocabulary write what a piece writes; none does for a single character."""
        return len(piece) > 1 and all(character in known for character in piece)

    def indispensable(self, model: Mapping[str, Any]) -> Set[str]:
        """Pieces that are no characters, and without which others could not be chosen as before."""
        return set()

    def parts(self, model: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
        """The pieces that others are made of; of those that are made of none, nothing."""
        return {}

    def frequencies(self, model: Mapping[str, Any]) -> Dict[str, float]:
        """Logarithms of how often pieces are met, in any unit; here from their order, by Zipf's law."""
        return {piece: -math.log(index + 1) for piece, index in self.pieces(model).items()}

    def select(self, model: Dict[str, Any], ids: Mapping[str, int]) -> None:
        """Leaves out the pieces that have no new id.

        Args:
            model: the entry of the library's JSON.
            ids: new ids, in their order.
        """
        model["vocab"] = dict(ids)


def _inside_word(text: str, place: int) -> bool:
    """Whether the characters before and behind a place belong to one word."""
    if not place or text[place - 1].isspace():
        return False
    if unicodedata.category(text[place])[0] == "M":
        return True
    around = (text[place - 1], text[place])
    return not any(unicodedata.category(near)[0] in "PSZ" or _SPACELESS.match(near) for near in around)
