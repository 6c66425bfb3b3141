"""Search on questions about passages: splits, training and scores."""

from __future__ import annotations

from collections import Counter
from typing import Any, List, NamedTuple, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.example import evenly_spaced
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.runtime.answer_predictor import AnswerPredictor
from rasa_compressed_bert.runtime.timing import quietest_median
from rasa_compressed_bert.search.goals import Measured
from rasa_compressed_bert.search.splits import split_places
from rasa_compressed_bert.search.task import TIMED, parameters_of
from rasa_compressed_bert.tasks.answer_data import split_questions
from rasa_compressed_bert.tasks.answer_measuring import ServedAnswers
from rasa_compressed_bert.tasks.answer_training import compress_extractor, fine_tune_extractor
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.units import MB

_FEWEST = 5  # passages of a document that is split on its own; passages of smaller documents are split together
_ROUNDS = 5  # a question takes several times as long as a message


class DenseExtractor(NamedTuple):
    """A fine-tuned extractor, and held-out questions, which calibrate its compressed copies."""

    run: TrainingRun
    held_out: Sequence[Question]


class AnswerTask:
    """Questions, split by passage, so that training and held-out questions share none; see `task.SearchTask`.

    Models are measured on the annotated questions; unanswerable questions are made only from training questions.

    Args:
        questions: all labelled questions.
        texts: texts of documents, whose wordpieces a trimmed vocabulary keeps.

    Raises:
        DataError: if no question has an answer, or if there are too few passages to hold some out.
    """

    def __init__(self, questions: Sequence[Question], *, texts: Sequence[str] = ()):
        self._questions, self._texts = questions, texts
        documents = {question.passage: question.document for question in questions}
        self._passages = list(documents)
        places = {passage: place for place, passage in enumerate(documents)}
        self._place_of = np.array([places[question.passage] for question in questions], np.int64)
        sizes = Counter(documents.values())
        names = [name if sizes[name] >= _FEWEST else "" for name in documents.values()]
        _, self._classes = np.unique(names, return_inverse=True)
        if not any(question.answers for question in questions):
            raise DataError("--questions: there is no question with an answer to learn.")
        if not self.split(0)[1]:
            raise DataError("--questions: there are too few passages to hold some out; search needs at least five.")

    def split(self, split: int) -> Tuple[List[Question], List[Question]]:
        """The training questions, and the held-out ones, which are about other passages."""
        _, held_out = split_places(self._classes, self._passages, split=split)
        is_held_out = np.isin(self._place_of, held_out)
        learnt = [question for question, out in zip(self._questions, is_held_out) if not out]
        return learnt, [question for question, out in zip(self._questions, is_held_out) if out]

    def train(self, config: Any, training: Sequence[Question], held_out: Sequence[Question]) -> Artifact:
        """Trains an extractor without documents."""
        return self.compress(self.fine_tune(config, training, held_out), config)

    def fine_tune(self, config: Any, training: Sequence[Question], held_out: Sequence[Question]) -> DenseExtractor:
        """Trains the dense model."""
        learnt, calibrating = split_questions(list(training), config)
        return DenseExtractor(fine_tune_extractor(learnt, config, texts=self._texts), calibrating)

    def compress(self, dense: DenseExtractor, config: Any) -> Artifact:
        """Compresses a copy of the dense model."""
        return compress_extractor(dense.run, dense.held_out, config)

    def measured(self, artifact: Artifact, held_out: Sequence[Question]) -> Measured:
        """Exact match and F1, and milliseconds of a question on its passage, without retrieving the passage."""
        predictor = AnswerPredictor(artifact)
        timed = [held_out[place] for place in evenly_spaced(len(held_out), TIMED)]
        return Measured(
            ServedAnswers.of(artifact, held_out).scores(predictor.decoder),
            latency_ms=quietest_median(lambda one: predictor.read(one.text, one.passage), timed, rounds=_ROUNDS),
            size_mb=artifact.archived_size / MB,
            parameters=parameters_of(artifact),
        )
