"""Float models whose matrices can be replaced, and their scores on messages or on questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Dict, List, Mapping, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.compression.quantization import WORD
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.inspection.parts import Setting, Sweep, Target
from rasa_compressed_bert.metrics.answers import NO_ANSWER, answer_scores
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.models.head_layer import ANSWERER, CLASSIFIER
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.answer_decoder import AnswerDecoder
from rasa_compressed_bert.runtime.decoders import ANSWERS
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.tokenization.windows import Window, WindowTokenizer
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.loop import predict
from rasa_compressed_bert.training.vocabulary import UsedVocabulary


class Probe(ABC):
    """A float model whose matrices can be replaced, and the data that it is scored on.

    Args:
        start: the model.
        input_ids: its inputs; only the word embeddings that these use are loaded into the model.

    Attributes:
        main_score: the score that compression is judged by.
        count: number of messages or questions.
    """

    main_score: ClassVar[str]
    count: int

    def __init__(self, start: ModelState, input_ids: Sequence[np.ndarray]):
        self.shape, self._parameters = start.shape, start.parameters
        first = 1 if start.shape.separator is None else start.shape.separator + 1
        self._vocabulary = UsedVocabulary.of(input_ids, first=first)
        self._input_ids = self._vocabulary.renumber(input_ids)
        self._used = self._vocabulary.narrow(self._parameters)
        self._model = TaskModel(replace(self.shape, vocab_size=len(self._vocabulary.rows)), self._used)

    def unknown(self) -> List[str]:
        """The intent of each message whose intent the model does not know."""
        return []

    def size(self, target: Target) -> int:
        """Weights of a part."""
        return sum(self._parameters[name].size for name in target.matrices)

    def compressed(self, name: str, sweep: Sweep, setting: Setting) -> np.ndarray:
        """A matrix compressed with a setting; of the word embeddings, all of which are compressed, the used rows."""
        matrix = sweep.compressed(name, self._parameters[name], setting)
        return self._vocabulary.narrow({name: matrix})[name] if name == WORD else matrix

    def score(self, changed: Mapping[str, np.ndarray]) -> Dict[str, float]:
        """Scores, as shares, with these matrices instead of the model's own."""
        self._model.assign({**self._used, **changed})
        return self._scores(predict(self._model, self._input_ids))

    @abstractmethod
    def _scores(self, predictions: Mapping[str, Any]) -> Dict[str, float]:
        """Scores of the model's outputs, by the names of the outputs; these are empty if there are no inputs."""


class IntentProbe(Probe):
    """An intent classifier: accuracy and macro F1 of messages.

    Args:
        artifact: of the classifier.
        messages: what it is scored on.

    Raises:
        ArtifactError: if its parts do not fit each other.
    """

    main_score = "macro_f1"

    @as_artifact_error()
    def __init__(self, artifact: Artifact, messages: Sequence[LabelledMessage]):
        start = state_of(artifact)
        self._labels: List[str] = artifact.manifest["labels"]
        self._expected, self.count = [message.intent for message in messages], len(messages)
        wordpieces = WordpieceTokenizer(start.tokenizer, artifact.max_length)
        super().__init__(start, wordpieces.encode_all([message.text for message in messages]))

    def unknown(self) -> List[str]:
        return [intent for intent in self._expected if intent not in self._labels]

    def _scores(self, predictions: Mapping[str, Any]) -> Dict[str, float]:
        predicted = predictions[CLASSIFIER.output].argmax(axis=1) if predictions else ()
        return intent_scores(self._expected, [self._labels[index] for index in predicted])


class AnswerProbe(Probe):
    """An answer extractor: exact match and F1 of questions on their own passages.

    Args:
        artifact: of the extractor.
        questions: what it is scored on.

    Raises:
        ArtifactError: if its parts do not fit each other.
    """

    main_score = "f1"

    @as_artifact_error()
    def __init__(self, artifact: Artifact, questions: Sequence[Question]):
        start, answers = state_of(artifact), artifact.manifest[ANSWERS]
        self._questions, self.count = questions, len(questions)
        self._decoder = AnswerDecoder(answers)
        tokenizer = WindowTokenizer(start.tokenizer, artifact.max_length, stride=answers["stride"])
        self._windows: List[List[Window]] = [
            tokenizer.windows(tokenizer.encode_question(one.text), tokenizer.encode_passage(one.passage))
            for one in questions
        ]
        super().__init__(start, [window.input_ids for own in self._windows for window in own])

    def _scores(self, predictions: Mapping[str, Any]) -> Dict[str, float]:
        logits = iter(predictions[ANSWERER.output] if predictions else ())
        found = []
        for question, windows in zip(self._questions, self._windows):
            span = self._decoder.best_span(windows, [next(logits) for _ in windows])
            is_given = span is not None and self._decoder.is_certain(span.margin)
            found.append(question.passage[span.start : span.end] if span and is_given else NO_ANSWER)
        scores = answer_scores([question.answer_texts for question in self._questions], found)
        return {"exact": scores["exact"], "f1": scores["f1"]}
