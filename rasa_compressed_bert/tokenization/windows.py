"""Questions with windows over their passages, as wordpieces with their places in the passage."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from rasa_compressed_bert.tokenization.pairs import pair_template
from rasa_compressed_bert.tokenization.pieces import Pieces, PieceTokenizer

_WHOLE = 1_000_000  # wordpieces: passages are not truncated
_QUESTION_SHARE = 2  # of the wordpieces of a window, a question has at most one in so many


class Window(NamedTuple):
    """A question and a part of a passage: `[CLS] question [SEP] part of the passage [SEP]`.

    Attributes:
        input_ids: with the special ones, `(T,)` int64.
        first: place of the first wordpiece of the passage in `input_ids`.
        starts: where each wordpiece of the passage begins in it, `(P,)`.
        ends: where it ends, `(P,)`; the marks that belong to its last character included.
        begins: whether it begins a word, `(P,)`.
        finishes: whether it ends one, `(P,)`.
    """

    input_ids: np.ndarray
    first: int
    starts: np.ndarray
    ends: np.ndarray
    begins: np.ndarray
    finishes: np.ndarray

    def place_of(self, start: int, end: int) -> Optional[Tuple[int, int]]:
        """The first and the last wordpiece of a span of the passage, as places in `starts`; None if not all is here.

        Args:
            start: of the span, in characters of the passage.
            end: of the span.
        """
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.starts, end, side="left")) - 1
        if not first <= last or start < self.starts[0] or end > self.ends[-1]:
            return None
        return first, last


class WindowTokenizer:
    """Pairs of a question and a passage as windows, which overlap.

    Args:
        json: the `tokenizers` library's own serialisation.
        max_length: wordpieces of a window, special ones and the question included; a question may have half of them,
            and the rest of it is cut.
        stride: wordpieces of a passage between the beginnings of two windows.
    """

    def __init__(self, json: str, max_length: int, *, stride: int):
        self._template = pair_template(json)
        self._room, self._stride = max_length - self._template.size, stride
        self._questions = PieceTokenizer(json, max_length, {})
        self._passages = PieceTokenizer(json, _WHOLE, {})
        self._special = np.unique(np.concatenate(self._template[:3]))

    def encode_question(self, text: str) -> np.ndarray:
        """Ids of a question, without special wordpieces.  # (Q,) int64"""
        return self._inner(self._questions.encode(text)).input_ids[: self._room // _QUESTION_SHARE]

    def encode_passage(self, text: str) -> Pieces:
        """The wordpieces of a passage; no special ones are among its `input_ids`, which are `(P,)`."""
        return self._inner(self._passages.encode(text))

    def _inner(self, pieces: Pieces) -> Pieces:
        """The wordpieces without special ones, also where a text spells one out: a pair has its separators alone."""
        ids = pieces.input_ids[1:-1]
        kept = ~np.isin(ids, self._special)
        starts, ends, continues = (values[kept] for values in (pieces.starts, pieces.ends, pieces.continues))
        return Pieces(ids[kept], starts, ends, continues, pieces.truncated)

    def windows(self, question: np.ndarray, passage: Pieces) -> List[Window]:
        """A question with each part of a passage; none if one of the two has no wordpiece.

        Args:
            question: from `encode_question`.
            passage: from `encode_passage`.
        """
        count = len(passage.input_ids)
        if not len(question) or not count:
            return []
        size = self._room - len(question)
        step = min(self._stride, size)
        begins = ~passage.continues
        finishes = np.append(begins[1:], True)
        first = len(self._template.first) + len(question) + len(self._template.between)
        windows = []
        for start in range(0, max(1, count - size + step), step):
            part = slice(start, min(start + size, count))
            ids = self._template.joined(question, passage.input_ids[part])
            places = (values[part] for values in (passage.starts, passage.ends, begins, finishes))
            windows.append(Window(ids, first, *places))
        return windows
