"""Scores of a model on labelled examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
from scipy.special import log_softmax

from rasa_compressed_bert.metrics.intents import macro_f1

Predictions = Mapping[str, Any]
"""Logits of messages, `(n, C)`, or of their wordpieces, `n` arrays of `(T_i, C)`, by the name of the output."""
FINETUNED = "finetuned"
"""The stage of a continued training, which may have other messages than the stages before it."""


@dataclass(frozen=True)
class Score:
    """The loss and the measures of a model on some examples.

    Attributes:
        loss: the sum over the heads, in nats.
        f1: the F1 of each head, by the name of the measure; scores are compared by their sum.
        others: further measures, for reports.
    """

    loss: float = 0.0
    f1: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Score) -> Score:
        """The score of the heads of both together."""
        return Score(self.loss + other.loss, {**self.f1, **other.f1}, {**self.others, **other.others})

    def better_than(self, other: Optional[Score]) -> bool:
        """Whether the sum of F1 is higher or, in case of a tie (frequent on small sets), the loss is lower."""
        return other is None or self._rank() > other._rank()

    def _rank(self) -> Tuple[float, float]:
        return sum(self.f1.values()), -self.loss

    def to_dict(self) -> Dict[str, float]:
        """Loss and measures by name, as JSON values."""
        return {"loss": self.loss, **self.f1, **self.others}


def before_and_after(
    stages: Mapping[str, Mapping[str, float]],
) -> Optional[Tuple[Mapping[str, float], Mapping[str, float]]]:
    """The scores before and after compression; None if they are not of the same messages, or of a single stage.

    Args:
        stages: the scores on the training messages after each stage, in the order of the stages.
    """
    if len(stages) < 2 or FINETUNED in stages:
        return None
    before, *_, after = stages.values()
    return before, after


def evaluate(logits: np.ndarray, classes: np.ndarray, *, prefix: str = "") -> Score:
    """The score of logits `(n, C)` against classes `(n,)`; the names of the measures begin with `prefix`."""
    predicted = logits.argmax(axis=1)
    return Score(
        negative_log_likelihood(logits, classes),
        {f"{prefix}macro_f1": macro_f1(classes, predicted)},
        {f"{prefix}accuracy": float(np.mean(predicted == classes))},
    )


def negative_log_likelihood(logits: np.ndarray, classes: np.ndarray) -> float:
    """The mean negative log-likelihood, in nats, of classes `(n,)` given logits `(n, C)`."""
    return -float(log_softmax(logits, axis=1)[np.arange(len(classes)), classes].mean())


def labelled_rows(
    rows: Sequence[np.ndarray], labels: Sequence[np.ndarray], *, width: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Rows and labels of all wordpieces that have a label.  # (m, C), (m,)

    Args:
        rows: one row for each wordpiece of each message, `n` arrays of `(T_i, C)`.
        labels: the labels of the same wordpieces, `n` arrays of `(T_i,)`.
        width: `C`.
    """
    known = np.concatenate([*labels, np.zeros(0, np.int32)])
    joined = np.concatenate([*rows, np.zeros((0, width), np.float32)])
    return joined[known >= 0], known[known >= 0]
