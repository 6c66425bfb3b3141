"""Answers a question from the documents of a model; runs once for each message."""

from __future__ import annotations

from functools import lru_cache
from typing import List, NamedTuple, Optional

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.answer_decoder import AnswerDecoder, Span
from rasa_compressed_bert.runtime.decoders import ANSWERS
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.message_predictor import Prediction
from rasa_compressed_bert.runtime.passage_index import PassageIndex
from rasa_compressed_bert.runtime.ranking import outputs_of
from rasa_compressed_bert.tokenization.pieces import Pieces
from rasa_compressed_bert.tokenization.windows import Window, WindowTokenizer

ANSWER_LOGITS = "answer_logits"
_KEPT_PASSAGES = 2048  # number of passages whose wordpieces are cached


class FoundAnswer(NamedTuple):
    """An answer as it is written in a document.

    Attributes:
        text: the text of the answer.
        document: the name of its document.
        start: its first character in the text of the document.
        end: the end of its last character.
        confidence: the estimated probability that it is right, 0 to 1.
    """

    text: str
    document: str
    start: int
    end: int
    confidence: float


class AnswerPredictor:
    """Tokenizer, engine, decoder and documents of one artifact; safe to call from several threads.

    Args:
        artifact: an answer extractor.
        num_threads: the number of threads of the engine; 0 means all cores.
        passages: the number of passages that are read for a question.

    Raises:
        ArtifactError: if the model has no answer head, or is damaged.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1, passages: int = 3):
        manifest = artifact.manifest
        self._engine = open_engine(artifact, num_threads=num_threads)
        outputs = outputs_of(manifest)
        if ANSWERS not in manifest or ANSWER_LOGITS not in outputs:
            raise ArtifactError("The model gives no answers. Train it again.")
        self._output = outputs.index(ANSWER_LOGITS)
        self.decoder = AnswerDecoder(manifest[ANSWERS])
        json, stride = artifact.files[TOKENIZER].decode("utf-8"), manifest[ANSWERS]["stride"]
        self._tokenizer = WindowTokenizer(json, artifact.max_length, stride=stride)
        self._index, self._count = PassageIndex.open(artifact), passages
        self._encoded = lru_cache(maxsize=_KEPT_PASSAGES)(self._encode)

    def predict(self, text: str) -> Prediction:
        """The answer to a question, under the name of the head; its value is None if there is no answer."""
        return Prediction({ANSWERS: self.answer(text)})

    def answer(self, question: str) -> Optional[FoundAnswer]:
        """The best answer in the passages that are most similar to a question, if it is certain enough."""
        if self._index is None:
            return None
        found = self._index.find(question, self._count)
        ids = self._tokenizer.encode_question(question)
        windows = [self._tokenizer.windows(ids, self._encoded(passage.number)) for passage in found]
        owners = [passage for passage, own in zip(found, windows) for _ in own]
        span = self._best([window for own in windows for window in own])
        if span is None or not self.decoder.is_certain(span.margin):
            return None
        passage = owners[span.window]
        start, end = passage.start + span.start, passage.start + span.end
        confidence = self.decoder.confidence(span.margin)
        return FoundAnswer(passage.text[span.start : span.end], passage.document, start, end, confidence)

    def read(self, question: str, passage: str) -> Optional[Span]:
        """The best answer in a passage, whatever its confidence; None if the question or the passage is empty."""
        return self._best(
            self._tokenizer.windows(self._tokenizer.encode_question(question), self._tokenizer.encode_passage(passage))
        )

    def _best(self, windows: List[Window]) -> Optional[Span]:
        logits = [self._run(window.input_ids) for window in windows]
        return self.decoder.best_span(windows, logits)

    def _run(self, input_ids: np.ndarray) -> np.ndarray:
        """The logits of a window.  # (T, 2)"""
        return run_message(self._engine, input_ids)[self._output]

    def _encode(self, number: int) -> Pieces:
        if self._index is None:
            raise ArtifactError("The model has no documents.")
        return self._tokenizer.encode_passage(self._index.text_of(number))
