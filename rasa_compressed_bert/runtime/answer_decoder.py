"""From what a model gives for windows over passages to the answer, or to none."""

from __future__ import annotations

import math
from typing import Any, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.tokenization.windows import Window

START, END = range(2)
"""Columns of the logits of a wordpiece: that the answer begins, and ends, with it."""
NULL_PLACE = 0
"""The wordpiece whose logits stand for no answer: the first one, which is no part of the passage."""


class Span(NamedTuple):
    """The best answer within some windows.

    Attributes:
        window: number of the window that it is in.
        start: where it begins in the passage.
        end: where it ends.
        margin: by how much its logits are ahead of those of no answer, in the same window.
    """

    window: int
    start: int
    end: int
    margin: float


class AnswerDecoder:
    """The answers of a model.

    Args:
        answers: the entry of a manifest: `max_answer_length`, in wordpieces; `slope` and `intercept` of confidences,
            see `confidence`; `threshold`, the least confidence of an answer.

    Raises:
        ArtifactError: if these are no such numbers.
    """

    def __init__(self, answers: Mapping[str, Any]):
        self._longest = int(answers["max_answer_length"])
        self._slope, self._intercept = float(answers["slope"]), float(answers["intercept"])
        self.threshold = float(answers["threshold"])
        if self._longest < 1 or not self._slope > 0 or not all(map(math.isfinite, (self._slope, self._intercept))):
            raise ArtifactError("What the model knows of answers are no numbers: it is damaged. Train it again.")

    def best_span(self, windows: Sequence[Window], logits: Sequence[np.ndarray]) -> Optional[Span]:
        """The span of whole words with the largest margin; None where there is no such span.

            margin = s_i + e_j - s_null - e_null,    i <= j < i + max_answer_length

        Args:
            windows: of one passage or of several.
            logits: of each window, `(T, 2)`.

        Raises:
            ArtifactError: if the logits are no numbers, or not those of the windows.
        """
        best: Optional[Span] = None
        for number, pair in enumerate(zip(windows, logits)):
            span = self._in_window(*pair, number=number)
            if span is not None and (best is None or span.margin > best.margin):
                best = span
        return best

    def confidence(self, margin: float) -> float:
        """The probability that an answer is right: `1 / (1 + exp(-(slope margin + intercept)))` (Platt 1999)."""
        return 0.5 * (1.0 + math.tanh(0.5 * (self._slope * margin + self._intercept)))

    def is_certain(self, margin: float) -> bool:
        """Whether an answer is given: its confidence is at least `threshold`."""
        return self.confidence(margin) >= self.threshold

    def _in_window(self, window: Window, logits: np.ndarray, *, number: int) -> Optional[Span]:
        if logits.shape != (len(window.input_ids), 2) or not np.isfinite(logits).all():
            raise ArtifactError("What the model gives are no answers: its files are damaged. Train it again.")
        passage = logits[window.first : window.first + len(window.starts)].astype(np.float64)  # (P, 2)
        starts = np.where(window.begins, passage[:, START], -np.inf)
        ends = np.where(window.finishes & (window.ends > window.starts), passage[:, END], -np.inf)
        first, last, total = best_bounds(starts, ends, longest=self._longest)
        if total == -np.inf:
            return None
        margin = total - float(logits[NULL_PLACE].astype(np.float64).sum())
        return Span(number, int(window.starts[first]), int(window.ends[last]), margin)


def best_bounds(starts: np.ndarray, ends: np.ndarray, *, longest: int) -> Tuple[int, int, float]:
    """First and last place of the best span, `i <= j < i + longest`, and its `s_i + e_j`.

    Args:
        starts: `s`, `(P,)`; minus infinity where a span cannot begin.
        ends: `e`, `(P,)`.
        longest: places of a span.
    """
    longest = min(longest, len(ends))
    padded = np.append(ends, np.full(longest - 1, -np.inf))
    following = np.lib.stride_tricks.sliding_window_view(padded, longest)  # (P, longest)
    totals = starts + following.max(axis=1)
    first = int(totals.argmax())
    return first, first + int(following[first].argmax()), float(totals[first])
