"""Encodes a question and a passage as overlapping windows, with the positions of wordpieces in the passage."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from rasa_compressed_bert.tokenization.pairs import pair_template
from rasa_compressed_bert.tokenization.pieces import Pieces, PieceTokenizer

_WHOLE = 1_000_000  # wordpieces, so that passages are not truncated
_QUESTION_SHARE = 2  # a question has at most one of so many wordpieces of a window


class Window(NamedTuple):
    """A question and a part of a passage: `[CLS] question [SEP] part of the passage [SEP]`.

    Attributes:
        input_ids: ids with the special ones, `(T,)` int64.
        first: the position of the first wordpiece of the passage in `input_ids`.
        starts: where each wordpiece of the part begins in the passage, `(P,)`.
        ends: where it ends, including the marks that belong to its last character, `(P,)`.
        begins: whether it begins a word, `(P,)`.
        finishes: whether it ends a word, `(P,)`.
    """

    input_ids: np.ndarray
    first: int
    starts: np.ndarray
    ends: np.ndarray
    begins: np.ndarray
    finishes: np.ndarray

    def place_of(self, start: int, end: int) -> Optional[Tuple[int, int]]:
        """The first and the last wordpiece of a span, as positions in `starts`; None if the window lacks a part of it.

        Args:
            start: the start of the span, in characters of the passage.
            end: the end of the span.
        """
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.starts, end, side="left")) - 1
        if not first <= last or start < self.starts[0] or end > self.ends[-1]:
            return None
        return first, last


class WindowTokenizer:
    """Encodes pairs of a question and a passage as overlapping windows.

    Args:
        json: the `tokenizers` library's own serialisation.
        max_length: the number of wordpieces of a window, including special ones and the question; a question of more
            than half of them is truncated.
        stride: the number of wordpieces of a passage between the starts of two windows.
    """

    def __init__(self, json: str, max_length: int, *, stride: int):
        self._template = pair_template(json)
        self._room, self._stride = max_length - self._template.size, stride
        self._questions = PieceTokenizer(json, max_length, {})
        self._passages = PieceTokenizer(json, _WHOLE, {})
        self._special = np.unique(np.concatenate(self._template[:3]))

    def encode_question(self, text: str) -> np.ndarray:
        """The ids of a question, without special wordpieces.  # (Q,) int64"""
        return self._inner(self._questions.encode(text)).input_ids[: self._room // _QUESTION_SHARE]

    def encode_passage(self, text: str) -> Pieces:
        """The wordpieces of a passage; its `input_ids`, `(P,)`, do not include special ones."""
        return self._inner(self._passages.encode(text))

    def _inner(self, pieces: Pieces) -> Pieces:
        """The wordpieces without special ones, even those in the text: a pair must have only its own separators."""
        ids = pieces.input_ids[1:-1]
        kept = ~np.isin(ids, self._special)
        starts, ends, continues = (values[kept] for values in (pieces.starts, pieces.ends, pieces.continues))
        return Pieces(ids[kept], starts, ends, continues, pieces.truncated)

    def windows(self, question: np.ndarray, passage: Pieces) -> List[Window]:
        """The windows of a question over a passage; none if one of the two has no wordpiece.

        Args:
            question: the result of `encode_question`.
            passage: the result of `encode_passage`.
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
