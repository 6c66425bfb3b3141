"""How good what a model says of labelled examples is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.special import log_softmax

from rasa_compressed_bert.data.entities import TagScheme
from rasa_compressed_bert.metrics.intents import macro_f1
from rasa_compressed_bert.training.batches import EncodedExamples


@dataclass(frozen=True)
class Score:
    """How good a model is on held-out examples; of two scores the larger is better."""

    loss: float  # nats, of intents and tags
    macro_f1: Optional[float] = None  # of the intents, where there are any
    accuracy: Optional[float] = None
    entity_f1: Optional[float] = None  # micro F1 of exact spans, where there are any

    def better_than(self, other: Optional[Score]) -> bool:
        """Higher macro and entity F1, or the same with a lower loss (small sets tie often)."""
        return other is None or self._rank() > other._rank()

    @property
    def f1(self) -> float:
        """Macro F1 of the intents or F1 of the entities; of a model with both, their mean."""
        scores = [value for value in (self.macro_f1, self.entity_f1) if value is not None]
        return sum(scores) / len(scores) if scores else 0.0

    def _rank(self) -> Tuple[float, float]:
        return (self.macro_f1 or 0.0) + (self.entity_f1 or 0.0), -self.loss

    def in_words(self) -> Dict[str, str]:
        """For a progress bar."""
        shown = {"accuracy": self.accuracy, "entity_f1": self.entity_f1}
        return {name: f"{value:.3f}" for name, value in shown.items() if value is not None}


class Predictions(NamedTuple):
    """What a model says of messages; None for a head that it lacks."""

    logits: Optional[np.ndarray]  # (n, C)
    tag_logits: Optional[List[np.ndarray]]  # n arrays of (T_i, K)


def score_of(predictions: Predictions, examples: EncodedExamples) -> Score:
    """How good what a model says of labelled examples is.

    Args:
        predictions: of the examples.
        examples: with what is known of them.
    """
    score = Score(loss=0.0)
    labelled = np.flatnonzero(examples.classes >= 0)
    if predictions.logits is not None and len(labelled):
        score = evaluate(predictions.logits[labelled], examples.classes[labelled])
    if predictions.tag_logits is None or examples.tags is None or examples.scheme is None:
        return score
    logits, tags = tags_alone(predictions.tag_logits, examples.tags)
    loss = score.loss + (negative_log_likelihood(logits, tags) if len(tags) else 0.0)
    return replace(
        score,
        loss=loss,
        entity_f1=_entity_f1(predictions.tag_logits, examples.tags, examples.scheme, examples.continues),
    )


def evaluate(logits: np.ndarray, classes: np.ndarray) -> Score:
    """Scores of the intents' logits `(n, C)` against classes `(n,)`."""
    predicted = logits.argmax(axis=1)
    return Score(
        loss=negative_log_likelihood(logits, classes),
        macro_f1=macro_f1(classes, predicted),
        accuracy=float(np.mean(predicted == classes)),
    )


def negative_log_likelihood(logits: np.ndarray, classes: np.ndarray) -> float:
    """The mean over examples or wordpieces, in nats, of logits `(n, C)` and classes `(n,)`."""
    return -float(log_softmax(logits, axis=1)[np.arange(len(classes)), classes].mean())


def tags_alone(tag_logits: Sequence[np.ndarray], tags: Sequence[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    """Logits and tags of all wordpieces that have a tag.  # (m, K), (m,)"""
    known = np.concatenate([*tags, np.zeros(0, np.int32)])
    logits = np.concatenate(tag_logits) if len(tag_logits) else np.zeros((0, 1), np.float32)
    return logits[known >= 0], known[known >= 0]


def _entity_f1(
    tag_logits: Sequence[np.ndarray],
    all_tags: Sequence[np.ndarray],
    scheme: TagScheme,
    all_continues: Optional[Sequence[np.ndarray]],
) -> float:
    """`2 right / (annotated + found)` over the spans of all messages; 1 where there are none, and none are found."""
    right = total = 0
    for index, (logits, tags) in enumerate(zip(tag_logits, all_tags)):
        text = tags >= 0
        if not text.any():
            continue
        continues = None if all_continues is None else all_continues[index][text[1:-1]]
        found = set(scheme.spans(scheme.viterbi_decode(logits[text], continues)))
        annotated = set(scheme.spans(tags[text]))
        right, total = right + len(annotated & found), total + len(annotated) + len(found)
    return 2 * right / total if total else 1.0
