"""Decodes the logits of windows over passages to the best answer, or to none."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.platt_scaling import PlattScaling
from rasa_compressed_bert.tokenization.windows import Window

START, END = range(2)
"""Columns of the logits of a wordpiece: the answer begins, or ends, with it."""
NULL_PLACE = 0
"""The wordpiece whose logits stand for no answer: the first one, which does not belong to the passage."""


class Span(NamedTuple):
    """The best answer within some windows.

    Attributes:
        window: the number of its window.
        start: its first character in the passage.
        end: the end of its last character.
        margin: the difference of its logits to those of no answer in the same window, see `AnswerDecoder.best_span`.
    """

    window: int
    start: int
    end: int
    margin: float


class AnswerDecoder:
    """Decodes answers, and decides whether they are certain enough.

    Args:
        answers: the manifest entry of the head: `max_answer_length`, in wordpieces; `slope` and `intercept` of
            confidences, see `PlattScaling`; `threshold`, the smallest confidence of an answer.

    Raises:
        ArtifactError: if these are not valid numbers.
    """

    def __init__(self, answers: Mapping[str, Any]):
        self._longest = int(answers["max_answer_length"])
        self._confidences = PlattScaling.read(answers)
        self.threshold = float(answers["threshold"])
        if self._longest < 1:
            raise ArtifactError("The model's settings for answers are not valid: it is damaged. Train it again.")

    def best_span(self, windows: Sequence[Window], logits: Sequence[np.ndarray]) -> Optional[Span]:
        """The span of whole words with the largest margin; None if there is none.

            margin = s_i + e_j - s_null - e_null,    i <= j < i + max_answer_length

        Args:
            windows: windows over one or several passages.
            logits: the logits of each window, `(T, 2)`.

        Raises:
            ArtifactError: if the logits are not finite numbers, or do not fit the windows.
        """
        best: Optional[Span] = None
        for number, pair in enumerate(zip(windows, logits)):
            span = self._in_window(*pair, number=number)
            if span is not None and (best is None or span.margin > best.margin):
                best = span
        return best

    def confidence(self, margin: float) -> float:
        """The probability that an answer with this margin is right."""
        return self._confidences.probability(margin)

    def is_certain(self, margin: float) -> bool:
        """Whether the confidence of an answer is at least `threshold`."""
        return self.confidence(margin) >= self.threshold

    def _in_window(self, window: Window, logits: np.ndarray, *, number: int) -> Optional[Span]:
        if logits.shape != (len(window.input_ids), 2) or not np.isfinite(logits).all():
            raise ArtifactError("The model's outputs are not logits of answers: it is damaged. Train it again.")
        passage = logits[window.first : window.first + len(window.starts)].astype(np.float64)  # (P, 2)
        is_text = window.ends > window.starts  # a Unigram tokenizer has empty wordpieces, also among whitespace
        starts = np.where(window.begins & is_text, passage[:, START], -np.inf)
        ends = np.where(window.finishes & is_text, passage[:, END], -np.inf)
        first, last, total = best_bounds(starts, ends, longest=self._longest)
        if total == -np.inf:
            return None
        margin = total - float(logits[NULL_PLACE].astype(np.float64).sum())
        return Span(number, int(window.starts[first]), int(window.ends[last]), margin)


def best_bounds(starts: np.ndarray, ends: np.ndarray, *, longest: int) -> Tuple[int, int, float]:
    """The first and the last position of the best span, `i <= j < i + longest`, and its score `s_i + e_j`.

    Args:
        starts: `s`, `(P,)`; minus infinity where a span cannot begin.
        ends: `e`, `(P,)`; minus infinity where a span cannot end.
        longest: the largest number of positions in a span.
    """
    longest = min(longest, len(ends))
    padded = np.append(ends, np.full(longest - 1, -np.inf))
    following = np.lib.stride_tricks.sliding_window_view(padded, longest)  # (P, longest)
    totals = starts + following.max(axis=1)
    first = int(totals.argmax())
    return first, first + int(following[first].argmax()), float(totals[first])
