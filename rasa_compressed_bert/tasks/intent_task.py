"""What all stretches of the training of an intent classifier share: options, labels, messages and where it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example, class_indices, intent_labels, stratified_split
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.intent_model import IntentModel
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.tasks.start import Start
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import EncodedExamples, batch_count, batch_size_for
from rasa_compressed_bert.training.loop import Plan
from rasa_compressed_bert.training.objectives import Labels, Teacher
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

DROPOUT = 0.1  # of a model that learns from labels; one that follows a teacher needs none
STUDENT_RATE = 3.0  # times the learning rate: a compressed model has further to go, and its teacher holds it


@dataclass(frozen=True)
class IntentTask:
    """Tokenized messages, with ids of `vocabulary`, and what is trained on them."""

    config: PrunedBertIntentClassifierConfig
    labels: Tuple[str, ...]
    start: Start
    training: EncodedExamples
    validation: EncodedExamples
    vocabulary: UsedVocabulary

    @classmethod
    def of(cls, examples: Sequence[Example], start: Start, config: PrunedBertIntentClassifierConfig) -> IntentTask:
        """Tokenizes and splits the examples."""
        labels = labels_of(examples)
        texts = [example.text for example in examples]
        input_ids = WordpieceTokenizer(start.tokenizer, config.max_length).encode_all(texts)
        vocabulary = UsedVocabulary.of(input_ids)
        renumbered = vocabulary.renumber(input_ids)
        classes = class_indices(examples, labels)
        training, validation = (
            EncodedExamples([renumbered[index] for index in part], classes[part])
            for part in stratified_split(classes, config.validation_split, seed=config.random_seed)
        )
        return cls(config, labels, start, training, validation, vocabulary)

    def first_model(self) -> IntentModel:
        """The model that training starts from, with the word embeddings that the messages use."""
        return self.model(self.start.shape, self.vocabulary.narrow(self.start.parameters))

    def model(
        self,
        shape: EncoderShape,
        parameters: Parameters,
        *,
        dropout: float = DROPOUT,
        quantizer: Optional[Quantizer] = None,
    ) -> IntentModel:
        """A model of these widths and values."""
        narrow = replace(shape, vocab_size=len(parameters["embeddings.word"]))
        seeded = Dropout(dropout, seed=self.config.random_seed)
        return IntentModel(narrow, parameters, dropout=seeded, quantizer=quantizer)

    def plan(self, name: str, epochs: int, *, rate: float = 1.0) -> Plan:
        """A stretch of training; `rate` multiplies the learning rate."""
        batch_size = batch_size_for(len(self.training), self.config.batch_size)
        steps = epochs * batch_count(len(self.training), batch_size)
        schedule = WarmUpLinearDecay(self.config.learning_rate * rate, steps)
        return Plan(name, epochs, batch_size, schedule)

    def follow(self, teacher: Optional[IntentModel]) -> Labels:
        """The objective of a stretch of training with a teacher, or without one."""
        return Labels() if teacher is None else Teacher(teacher, self.config.distillation)

    def whole_ids(self, input_ids: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Ids of the whole vocabulary, which the exported model has."""
        return [self.vocabulary.rows[ids] for ids in input_ids]


def labels_of(examples: Sequence[Example]) -> Tuple[str, ...]:
    """The intents of the examples.

    Raises:
        DataError: if there are none.
    """
    labels = intent_labels(examples)
    if not labels:
        raise DataError("There are no examples with an intent to train on.")
    return labels


def require_same_labels(before: Sequence[str], now: Sequence[str]) -> None:
    """Refuses labels that are not those of before.

    Raises:
        DataError: with what is new and what is gone.
    """
    added, removed = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    if added or removed:
        raise DataError(
            f"The intents are not those that the model was trained on. New: {added or 'none'}; "
            f"gone: {removed or 'none'}. Train without --finetune."
        )
