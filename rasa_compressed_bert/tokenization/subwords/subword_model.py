"""The base class of subword models.

WordPiece marks pieces that continue a word (`##`); Unigram and byte-level BPE mark pieces that begin one (`▁`, `Ġ`),
together with the space before it. So with these, a part of a word that is encoded alone would get a mark, and the
offsets of a piece may include a space. A separator between two parts of a word prevents pieces from crossing it, and
does not add a mark.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from tokenizers import Tokenizer

SEPARATOR = "\ufdd0"
"""A noncharacter, which Unicode reserves for internal use; in a message it is read as U+FFFD."""
_MASKS = ("[MASK]", "<mask>")
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Chinese and Japanese, in which each piece counts as a word."""


_LONGEST_RUN = 100
_RUN = re.compile(r"[^ \t\n\r]+|\s+")  # some tokenizers do not split at other whitespace


class Places(NamedTuple):
    """The positions of the pieces of a text, and whether each continues the word of the one before it."""

    starts: List[int]
    ends: List[int]
    continues: List[bool]


class SubwordModel:
    """How text is encoded with a vocabulary, and how pieces are removed from it.

    Args:
        library: the tokenizer; its pre-tokenizer is changed if it has to remove the separator.
    """

    separator = SEPARATOR
    mark = ""
    """The prefix of pieces that begin a word."""

    def __init__(self, library: Tokenizer):
        self._library = library

    @property
    def mask(self) -> Optional[str]:
        """The mask piece of masked language models; None if the vocabulary has none."""
        return next((mask for mask in _MASKS if self._library.token_to_id(mask) is not None), None)

    def words(self) -> Dict[str, int]:
        """The ids of the pieces that are a word or begin one, by their spelling."""
        pieces = self._library.get_vocab(with_added_tokens=False)
        return {self.spelling(piece): index for piece, index in pieces.items() if self.begins_word(piece)}

    def written(self, text: str) -> str:
        """A text as it has to be passed to the library."""
        return text

    def shortened(self, text: str, most: int) -> str:
        """The beginning of a text that has at most `most` characters after normalisation."""
        return text

    def normalized_length(self, text: str) -> int:
        """The number of characters of a text after normalisation."""
        return len(text)

    def breaks(self, text: str) -> List[int]:
        """Positions at which runs of more than 100 characters without whitespace, and of whitespace, are split.

        The library caches the pieces of the first 10,000 words that it sees, however long they are: 50 bytes for each
        character, for the lifetime of the tokenizer.
        """
        if len(text) <= _LONGEST_RUN:
            return []
        runs = (run.span() for run in _RUN.finditer(text))
        return [place for start, end in runs for place in range(start + _LONGEST_RUN, end, _LONGEST_RUN)]

    def begins_word(self, piece: str) -> bool:
        """Whether a piece is a word or begins one."""
        return piece.startswith(self.mark) and piece != self.mark

    def spelling(self, piece: str) -> str:
        """The text of a piece, without its mark."""
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
        """The positions of pieces in a text, without whitespace at their ends; a mark alone has no length.

        Words are split at whitespace, at punctuation and symbols, and between the pieces of scripts without spaces.
        Characters that are not drawn and that no piece has, such as a right-to-left mark, belong to no word.

        Args:
            text: the text that was encoded.
            pieces: the pieces of the text.
            offsets: the offsets of each piece, from the library.
            words: the number of each piece's word, from the library.
            split_points: positions in the text that no word crosses.
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
            is_inside = start not in split_points and start < end and _inside_word(text, before, start)
            found.continues.append(bool(found.continues) and (start < before or is_inside))
            before = end
        return found

    def pieces(self, model: Mapping[str, Any]) -> Dict[str, int]:
        """The ids of the pieces.

        Args:
            model: the entry `model` of the library's JSON.
        """
        ids: Dict[str, int] = model["vocab"]
        return ids

    def is_spelled(self, piece: str, known: Collection[str]) -> bool:
        """Whether a piece of several characters can be spelled with single characters of the vocabulary."""
        return len(piece) > 1 and all(character in known for character in piece)

    def indispensable(self, model: Mapping[str, Any]) -> Set[str]:
        """Pieces, besides characters, without which other pieces would be used differently."""
        return set()

    def parts(self, model: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
        """The parts of each piece that is made of other pieces; pieces without parts are left out."""
        return {}

    def frequencies(self, model: Mapping[str, Any]) -> Dict[str, float]:
        """The logarithms of the frequencies of pieces, up to a constant; by default from their order, by Zipf's law."""
        return {piece: -math.log(index + 1) for piece, index in self.pieces(model).items()}

    def select(self, model: Dict[str, Any], ids: Mapping[str, int]) -> None:
        """Removes the pieces that have no new id.

        Args:
            model: the entry `model` of the library's JSON, which is changed.
            ids: the new ids by piece, in ascending order.
        """
        model["vocab"] = dict(ids)


def _inside_word(text: str, before: int, place: int) -> bool:
    """Whether the character at a position belongs to the word of the piece before it, which ends at `before`."""
    last = place
    while last > before and unicodedata.category(text[last - 1]) in ("Cc", "Cf") and not text[last - 1].isspace():
        last -= 1
    if not last or text[last - 1].isspace():
        return False
    if unicodedata.category(text[place])[0] == "M":
        return True
    around = (text[last - 1], text[place])
    return not any(unicodedata.category(near)[0] in "PSZ" or _SPACELESS.match(near) for near in around)
