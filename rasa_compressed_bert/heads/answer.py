"""The head of the answers: for each wordpiece of a question and a passage, whether the answer begins or ends there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.models.head_layer import ANSWERER
from rasa_compressed_bert.runtime.answer_decoder import END, NULL_PLACE, START, best_bounds
from rasa_compressed_bert.runtime.decoders import ANSWERS
from rasa_compressed_bert.tokenization.pieces import Pieces
from rasa_compressed_bert.tokenization.windows import Window
from rasa_compressed_bert.training.batches import NO_LABEL, Labels
from rasa_compressed_bert.training.head import ElementLoss, Head, Rows
from rasa_compressed_bert.training.scores import Score

_BEGINS, _FINISHES = 1, 2  # bits of a wordpiece's label: the answer begins, or ends, with it
_FAR_BELOW = np.float32(-1e9)
_INITIAL_DEVIATION = 0.02  # of the initial weights, as in BERT


@dataclass(frozen=True)
class MeasuredAnswers:
    """The measurements of answers on held-out questions.

    Attributes:
        score: score of the model.
        slope: slope of confidences, see `PlattScaling`.
        intercept: intercept of confidences.
        threshold: minimum confidence of an answer.
    """

    score: Score
    slope: float = 1.0
    intercept: float = 0.0
    threshold: float = 0.5


NOT_MEASURED = MeasuredAnswers(Score())


@dataclass(frozen=True)
class AnswerHead(Head):
    """The answers to questions, in windows over passages (Devlin et al. 2018, arXiv 1810.04805, section 4.3).

        p(i, j) = softmax(s)_i softmax(e)_j    over the first wordpiece, for no answer, and those of the passage

    The labels of a window are an array `(T,)`: 0 for the wordpieces that the answer may begin and end with, plus 1
    where it begins and 2 where it ends; `NO_LABEL` for those of the question.

    Attributes:
        max_answer_length: maximum number of wordpieces of an answer.
        stride: stride of the windows, see `WindowTokenizer`.
    """

    max_answer_length: int
    stride: int

    name = ANSWERS
    label_phrase = "an answer"
    layer = ANSWERER

    @classmethod
    def is_asked_for(cls, config: BertOptions) -> bool:
        return config.learns_answers

    @classmethod
    def learnt_from(
        cls, examples: Sequence[Example], config: BertOptions, tokenizer: str, *, before: Optional[Head] = None
    ) -> Optional[AnswerHead]:
        """None, as messages have no answers; they are learnt from questions about passages."""
        return None

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Optional[AnswerHead]:
        answers = manifest.get(cls.name)
        return cls(answers["max_answer_length"], answers["stride"]) if answers else None

    def to_manifest(self, measured: Optional[MeasuredAnswers]) -> Dict[str, Any]:
        own = measured or NOT_MEASURED
        confidence = {"slope": own.slope, "intercept": own.intercept, "threshold": own.threshold}
        return {self.name: {"max_answer_length": self.max_answer_length, "stride": self.stride, **confidence}}

    @property
    def label_names(self) -> Sequence[str]:
        return ()

    @property
    def size(self) -> int:
        return 2

    def encode(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> List[np.ndarray]:
        """No labels, as messages have no answers."""
        return [np.full(len(message.input_ids), NO_LABEL, np.int32) for message in pieces]

    def losses(
        self, logits: tf.Tensor, labels: tf.Tensor, loss: ElementLoss, soft_targets: Optional[tf.Tensor]
    ) -> tf.Tensor:
        """The mean of the losses of begin and end, each a classification of the wordpieces of a window.  # (B,)"""
        allowed = labels >= 0
        known = tf.maximum(labels, 0)
        total = []
        for column, bit in ((START, _BEGINS), (END, _FINISHES)):
            place = tf.argmax(tf.bitwise.bitwise_and(known, bit), axis=1, output_type=tf.int32)
            teacher = None if soft_targets is None else tf.where(allowed, soft_targets[..., column], _FAR_BELOW)
            total.append(loss.labelled(tf.where(allowed, logits[..., column], _FAR_BELOW), place, teacher))
        return tf.add_n(total) / len(total)

    def score(self, logits: Rows, labels: Labels, continues: Optional[Sequence[np.ndarray]]) -> Score:
        """The share of windows with the right answer, and the mean F1 of the wordpieces of answers."""
        found = [self._compared(*pair) for pair in zip(logits, labels) if (pair[1] >= 0).any()]
        if not found:
            return Score()
        loss, exact, f1 = np.mean(found, axis=0)
        return Score(float(loss), {"answer_f1": float(f1)}, {"answer_exact": float(exact)})

    def _compared(self, logits: np.ndarray, labels: np.ndarray) -> Tuple[float, float, float]:
        """Loss, exact match and F1 of a window."""
        places = np.flatnonzero(labels >= 0)
        rows, own = logits[places].astype(np.float64), labels[places]
        gold = tuple(int(np.argmax(own & bit)) for bit in (_BEGINS, _FINISHES))
        normalizer = np.log(np.exp(rows - rows.max(axis=0)).sum(axis=0)) + rows.max(axis=0)  # (2,)
        loss = float(np.mean(normalizer - rows[gold, (START, END)]))
        first, last, total = best_bounds(rows[1:, START], rows[1:, END], longest=self.max_answer_length)
        found = (first + 1, last + 1) if total > rows[NULL_PLACE].sum() else (NULL_PLACE, NULL_PLACE)
        same = max(0, min(gold[1], found[1]) - max(gold[0], found[0]) + 1)
        f1 = 2 * same / (gold[1] - gold[0] + found[1] - found[0] + 2)
        return loss, float(gold == found), f1

    def probe(self, inputs: Rows, labels: Labels, *, seed: int) -> None:
        """None: logistic regression does not find single wordpieces among many."""
        return None

    def places_to_probe(self, lengths: Sequence[int], *, seed: int) -> np.ndarray:
        return np.arange(min(len(lengths), 1))


def random_layer(hidden_size: int, *, seed: int) -> Dict[str, np.ndarray]:
    """Small random parameters, as BERT's initial ones, for pretrained weights without a head of answers."""
    kernel = np.random.default_rng(seed).normal(0.0, _INITIAL_DEVIATION, (hidden_size, 2)).astype(np.float32)
    return {ANSWERER.kernel: kernel, ANSWERER.bias: np.zeros(2, np.float32)}


def window_labels(window: Window, answer: Optional[Tuple[int, int]]) -> np.ndarray:
    """The labels of a window, see `AnswerHead`.  # (T,) int32

    Args:
        window: window over a passage.
        answer: start and end of the answer in the passage; a window that does not contain all of it has no answer.
    """
    labels = np.full(len(window.input_ids), NO_LABEL, np.int32)
    labels[NULL_PLACE] = 0
    labels[window.first : window.first + len(window.starts)] = 0
    place = None if answer is None else window.place_of(*answer)
    first, last = (NULL_PLACE, NULL_PLACE) if place is None else (window.first + place[0], window.first + place[1])
    labels[first] += _BEGINS
    labels[last] += _FINISHES
    return labels
