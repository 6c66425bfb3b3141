"""Fits confidences of a trained answer extractor and scores it, on held-out questions, as it is served."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.questions import Question, with_single_blanks
from rasa_compressed_bert.metrics.answers import (
    NO_ANSWER,
    answer_f1,
    answer_scores,
    best_no_answer_threshold,
    exact_match,
)
from rasa_compressed_bert.runtime.answer_decoder import AnswerDecoder, Span
from rasa_compressed_bert.runtime.answer_predictor import AnswerPredictor
from rasa_compressed_bert.runtime.decoders import ANSWERS
from rasa_compressed_bert.tasks.all_cores import on_all_cores
from rasa_compressed_bert.training.calibration import MIN_EXAMPLES, answers_are_calibrated, fit_platt_scaling
from rasa_compressed_bert.units import MB

logger = logging.getLogger(__name__)
_OF_CONFIDENCES = ("slope", "intercept", "threshold")
_FEWEST_OF_A_KIND = 5  # answerable and unanswerable questions with which a threshold is chosen
_FOLDS = 5  # folds of the held-out passages; each is scored with confidences and a threshold fitted on the others


@dataclass(frozen=True)
class ServedAnswers:
    """The best answer to each question in its own passage, however low its confidence.

    Attributes:
        expected: the annotated answers to each question.
        texts: the best answers; `NO_ANSWER` if the question or its passage is empty.
        margins: the margins of the best answers, `(n,)`; minus infinity if the question or its passage is empty.
        passages: the index of each question's passage, `(n,)`; the same for passages that differ only in whitespace.
    """

    expected: List[List[str]]
    texts: List[str]
    margins: np.ndarray
    passages: np.ndarray

    @classmethod
    def of(cls, artifact: Artifact, questions: Sequence[Question]) -> ServedAnswers:
        """Runs a trained model on questions."""
        predictor = AnswerPredictor(artifact)

        def read(place: int) -> Optional[Span]:
            return predictor.read(questions[place].text, questions[place].passage)

        spans = on_all_cores(read, [len(question.passage) for question in questions], name="answer held-out questions")
        texts = [
            NO_ANSWER if span is None else one.passage[span.start : span.end] for span, one in zip(spans, questions)
        ]
        margins = np.array([-np.inf if span is None else span.margin for span in spans])
        forms = {passage: with_single_blanks(passage) for passage in {question.passage for question in questions}}
        # an array of the texts would take the length of the longest one for each question
        numbers = {form: number for number, form in enumerate(sorted(set(forms.values())))}
        passages = np.array([numbers[forms[question.passage]] for question in questions], np.int64)
        return cls([question.answer_texts for question in questions], texts, margins, passages)

    def __getitem__(self, places: np.ndarray) -> ServedAnswers:
        """Selects some questions."""
        expected, texts = [self.expected[place] for place in places], [self.texts[place] for place in places]
        return ServedAnswers(expected, texts, self.margins[places], self.passages[places])

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is an annotated one.  # (n,) bool"""
        pairs = zip(self.expected, self.texts)
        return np.array([bool(gold) and exact_match(gold, text) == 1.0 for gold, text in pairs], bool)

    @property
    def answerable(self) -> int:
        """The number of answerable questions."""
        return sum(map(bool, self.expected))

    @property
    def has_both_kinds(self) -> bool:
        """Whether there are enough answerable and unanswerable questions to choose a threshold between them."""
        return min(self.answerable, len(self.expected) - self.answerable) >= _FEWEST_OF_A_KIND

    @property
    def can_choose_threshold(self) -> bool:
        """Whether they are enough to choose a threshold."""
        return np.isfinite(self.margins).sum() >= MIN_EXAMPLES and self.has_both_kinds

    def best_threshold(self) -> float:
        """The threshold of the margin with the highest mean of the F1 of answerable and of unanswerable questions.

        Both kinds have the same weight, as their shares in the training data say nothing about a bot's users.
        """
        answered = np.array([answer_f1(gold, text) for gold, text in zip(self.expected, self.texts)])
        unanswered = np.array([answer_f1(gold, NO_ANSWER) for gold in self.expected])
        answerable, found = np.array([bool(gold) for gold in self.expected]), np.isfinite(self.margins)
        weights = 1.0 / np.where(answerable, answerable.sum(), (~answerable).sum())
        return best_no_answer_threshold(self.margins[found], *((weights * f1)[found] for f1 in (answered, unanswered)))

    def served_by(self, decoder: AnswerDecoder) -> List[str]:
        """The answers that a decoder is certain enough of; `NO_ANSWER` instead of the others."""
        return [
            text if decoder.is_certain(margin) else NO_ANSWER for text, margin in zip(self.texts, self.margins.tolist())
        ]

    def scores(self, decoder: AnswerDecoder) -> Dict[str, float]:
        """Exact match and F1, between 0 and 1, with the confidences and the threshold of a decoder."""
        return answer_scores(self.expected, self.served_by(decoder))


def in_words(artifact: Artifact) -> str:
    """The summary of a training as text: scores on held-out questions, and the size of the model."""
    scores, size = artifact.manifest["held_out"], f"{artifact.size / MB:.1f} MB"
    if not scores:
        return f"{size}; not measured, as no passages were held out"
    shares = f"exact match {100 * scores['exact']:.1f} %, F1 {100 * scores['f1']:.1f} %"
    return f"{shares} on {counted(scores['questions'], 'held-out question', 'held-out questions')}; {size}"


def measured(
    artifact: Artifact,
    held_out: Sequence[Question],
    config: BertAnswerExtractorConfig,
    *,
    before: Optional[Artifact] = None,
) -> Artifact:
    """Adds confidences, their threshold and scores to an artifact, from held-out questions.

    Args:
        artifact: the trained model.
        held_out: questions that it has not learnt; with fewer than 20, confidences are left unchanged.
        config: all options.
        before: the model whose training was continued, whose confidences are kept then.
    """
    entry: Dict[str, Any] = dict(artifact.manifest[ANSWERS])
    earlier: Dict[str, Any] = {}
    if before is not None:
        entry.update({name: before.manifest[ANSWERS][name] for name in _OF_CONFIDENCES})
        earlier = {"calibrated_before": answers_are_calibrated(before.manifest)}
    scores: Optional[Dict[str, float]] = None
    if held_out:
        answers = ServedAnswers.of(artifact, held_out)
        scores = {"questions": len(held_out), **_scores(answers, entry, config)}
        entry = _fitted(answers, entry, config)
        if config.no_answer_threshold is None and not answers.can_choose_threshold:
            if before is None or len(held_out) >= MIN_EXAMPLES:
                _warn_of_threshold(answers, entry["threshold"])
    elif config.no_answer_threshold is not None:
        entry["threshold"] = config.no_answer_threshold
    return Artifact({**artifact.manifest, **earlier, ANSWERS: entry, "held_out": scores}, artifact.files)


def _fitted(answers: ServedAnswers, entry: Mapping[str, Any], config: BertAnswerExtractorConfig) -> Dict[str, Any]:
    """Updates a manifest entry with the confidences and the threshold that fit some answers.

    With fewer than 20 answers, both are left unchanged: a single wrong answer would otherwise set a threshold that no
    other answer reaches. So is the threshold with fewer than 5 questions of a kind: without unanswerable ones, the best
    threshold is one that every answer reaches.
    """
    found = np.isfinite(answers.margins)
    is_enough, fitted = found.sum() >= MIN_EXAMPLES, dict(entry)
    if is_enough:
        slope, intercept = fit_platt_scaling(answers.margins[found], answers.right[found])
        fitted.update(slope=slope, intercept=intercept)
    if config.no_answer_threshold is not None:
        return {**fitted, "threshold": config.no_answer_threshold}
    if not answers.can_choose_threshold:
        return fitted
    return {**fitted, "threshold": AnswerDecoder(fitted).confidence(answers.best_threshold())}


def _warn_of_threshold(answers: ServedAnswers, threshold: float) -> None:
    """Warns of a threshold that could not be chosen."""
    logger.warning(
        f"no_answer_threshold: {threshold:g} is used, as {answers.answerable} of the "
        f"{counted(len(answers.expected), 'held-out question is', 'held-out questions are')} answerable: to choose it, "
        f"{MIN_EXAMPLES} are needed, of them {_FEWEST_OF_A_KIND} answerable and {_FEWEST_OF_A_KIND} unanswerable ones. "
        "Add questions to training_data, or set no_answer_threshold."
    )


def _scores(answers: ServedAnswers, entry: Mapping[str, Any], config: BertAnswerExtractorConfig) -> Dict[str, float]:
    """Exact match and F1, between 0 and 1, by cross-validation of the confidences and the threshold.

    With the threshold that is best for the same questions, F1 would be too high: by 3 points with 100 questions.
    """
    numbers = np.unique(answers.passages)
    fold_of = np.zeros(len(numbers), np.int64)
    fold_of[np.random.default_rng(config.random_seed).permutation(len(numbers))] = np.arange(len(numbers)) % _FOLDS
    folds = fold_of[np.searchsorted(numbers, answers.passages)]
    served = np.array(answers.texts, object)
    for fold in np.unique(folds):
        own, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        served[own] = answers[own].served_by(AnswerDecoder(_fitted(answers[others], entry, config)))
    return answer_scores(answers.expected, served.tolist())
