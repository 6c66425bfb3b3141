"""WordPiece (Schuster and Nakajima 2012): greedily uses the longest piece that matches, from left to right.

In a trained vocabulary, every piece can also be spelled with single characters, so a word is unknown only if one of its
characters is. As long as single characters are kept, removing other pieces splits words further but makes none unknown;
and a word whose pieces are all kept is split as before, since they are still the longest. (A piece that cannot be
spelled, as in a vocabulary written by hand, is kept.)
"""

from __future__ import annotations

from typing import Collection, List, Sequence, Tuple

from rasa_compressed_bert.tokenization.subwords.subword_model import Places, SubwordModel

_PREFIX = "##"


class WordPiece(SubwordModel):
    """Pieces that continue a word are marked, so a space can separate the parts of a word."""

    separator = " "

    def breaks(self, text: str) -> List[int]:
        """See `SubwordModel`: for WordPiece, the library has no cache of words."""
        return []

    def begins_word(self, piece: str) -> bool:
        """See `SubwordModel`."""
        return not piece.startswith(_PREFIX)

    def spelling(self, piece: str) -> str:
        """See `SubwordModel`."""
        return piece[len(_PREFIX) :] if piece.startswith(_PREFIX) else piece

    def places(
        self,
        text: str,
        pieces: Sequence[str],
        offsets: Sequence[Tuple[int, int]],
        *,
        words: Sequence[int],
        split_points: Collection[int],
    ) -> Places:
        """See `SubwordModel`; words are those of BERT's pre-tokenizer, and pieces include no whitespace."""
        starts: List[int] = [start for start, _ in offsets]
        continues = [place > 0 and words[place] == words[place - 1] for place in range(len(words))]
        return Places(starts, [end for _, end in offsets], continues)

    def is_spelled(self, piece: str, known: Collection[str]) -> bool:
        """See `SubwordModel`: `hot` as `h ##o ##t`, `##ing` as `##i ##n ##g`."""
        written, is_first = self.spelling(piece), self.begins_word(piece)
        characters = [f"{_PREFIX}{character}" for character in written]
        if is_first:
            characters[:1] = [written[:1]]
        return len(characters) > 1 and all(character in known for character in characters)


MODEL = WordPiece
