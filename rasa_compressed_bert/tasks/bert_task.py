"""What all stages of the training of a BERT share: options, heads, messages and the state that they start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Mapping, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.augmentation.filled_messages import Filled, filled_messages
from rasa_compressed_bert.augmentation.synthetic import synthetic_messages
from rasa_compressed_bert.config import AugmentationConfig, BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import NO_VALUES, KnownValues
from rasa_compressed_bert.data.warnings import warn_of_long_messages
from rasa_compressed_bert.heads import EntityHead, Head
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tokenization.pieces import Pieces, PieceTokenizer, split_points_for
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import EncodedExamples, batch_count, batch_size_for
from rasa_compressed_bert.training.loop import Plan
from rasa_compressed_bert.training.objectives import DistillationLoss, LabelLoss
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

DROPOUT = 0.1  # of a model that learns from labels; one that follows a teacher needs none
STUDENT_RATE = 3.0  # times the learning rate: a compressed model has further to go, and its teacher holds it


@dataclass(frozen=True)
class BertTask:
    """Tokenized messages, with ids of `vocabulary`, and what is trained on them.

    Attributes:
        config: all options.
        heads: what is learnt.
        state: what training starts from.
        examples: the training messages, none of which is held out; the names of intents come last.
        pieces: their wordpieces, with ids of the whole vocabulary; none of a student, whose messages are encoded.
        training: the messages as the model reads them, with the labels of the heads.
        vocabulary: the wordpieces that the messages use.
        synthetic: messages without labels, given as wordpiece ids, that the dense model teaches the pruned one with.
        filled: synthetic messages whose entities alone are learnt; they are no part of `training`, on which models are
            scored and calibrated.
    """

    config: BertOptions
    heads: Tuple[Head, ...]
    state: ModelState
    examples: Sequence[Example]
    pieces: Sequence[Pieces]
    training: EncodedExamples
    vocabulary: UsedVocabulary
    synthetic: Sequence[np.ndarray] = ()
    filled: Sequence[Filled] = ()

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        heads: Sequence[Head],
        state: ModelState,
        config: BertOptions,
        *,
        known: KnownValues = NO_VALUES,
    ) -> BertTask:
        """Tokenizes the examples, and makes synthetic messages, some of them with known values of entities."""
        pieces = _pieces(examples, heads, state, config)
        warn_of_long_messages([message.truncated for message in pieces], config.max_length)
        heads = tuple(head.fitted(examples, pieces) for head in heads)
        for head in heads:
            head.warn(examples, pieces)
        synthetic = _synthetic(examples, heads, state, config)
        learns_entities = any(isinstance(head, EntityHead) for head in heads)
        filled = filled_messages(examples, known, seed=config.random_seed) if learns_entities else []
        extra = [*synthetic, *(message.input_ids for message in _filled_pieces(filled, heads, state, config))]
        training, vocabulary = _encoded(examples, pieces, heads, extra=extra)
        unlabelled = vocabulary.renumber(synthetic)
        return cls(config, heads, state, examples, pieces, training, vocabulary, unlabelled, filled)

    @property
    def texts(self) -> List[str]:
        """Of the training messages."""
        return [example.text for example in self.examples]

    @property
    def num_names(self) -> int:
        """How many training messages are names of intents, whose entities nobody annotated."""
        return sum(not example.annotated for example in self.examples)

    def without_annotations(self, held_out: np.ndarray) -> BertTask:
        """The same messages, none of which is split into wordpieces where annotations of some of them begin or end.

        Messages that are made from these are left out.

        Args:
            held_out: places of messages whose annotations a model must not know; their tags are those of the nearest
                wordpieces.
        """
        hidden = set(held_out.tolist())
        heads = tuple(head.without_annotations(self.examples, hidden, self.state.tokenizer) for head in self.heads)
        filled = [message for message in self.filled if message.source not in hidden]
        if heads == self.heads:
            return replace(self, filled=filled) if self.filled else self
        pieces = _pieces(self.examples, heads, self.state, self.config)
        known = [place for place in range(len(pieces)) if place not in hidden]
        seen = [self.examples[place] for place in known], [pieces[place] for place in known]
        heads = tuple(head.fitted(*seen) for head in heads)
        extra = [message.input_ids for message in _filled_pieces(filled, heads, self.state, self.config)]
        training, vocabulary = _encoded(self.examples, pieces, heads, extra=extra)
        changed = replace(self, heads=heads, pieces=pieces, training=training, vocabulary=vocabulary)
        return replace(changed, synthetic=(), filled=filled)

    def with_filled(self) -> EncodedExamples:
        """What is trained on: the messages, followed by those with known values of entities."""
        if not self.filled:
            return self.training
        pieces = _filled_pieces(self.filled, self.heads, self.state, self.config)
        joined = self.training.joined(self.vocabulary.renumber([message.input_ids for message in pieces]))
        made = [message.example for message in self.filled]
        tags = {
            head.name: [*self.training.labels[head.name], *head.encode(made, pieces)]
            for head in self.heads
            if isinstance(head, EntityHead)
        }
        return replace(joined, labels={**joined.labels, **tags})

    def first_model(self) -> TaskModel:
        """The model that training starts from, with the word embeddings that the messages use."""
        return self.model(self.state.shape, self.vocabulary.narrow(self.state.parameters))

    def model(
        self,
        shape: EncoderShape,
        parameters: Mapping[str, np.ndarray],
        *,
        dropout: float = DROPOUT,
        quantizer: Optional[Quantizer] = None,
    ) -> TaskModel:
        """A model of these widths and values."""
        narrow = replace(shape, vocab_size=len(parameters["embeddings.word"]))
        seeded = Dropout(dropout, seed=self.config.random_seed)
        return TaskModel(narrow, parameters, dropout=seeded, quantizer=quantizer)

    def plan(self, name: str, epochs: int, *, rate: float = 1.0, messages: Optional[int] = None) -> Plan:
        """The length and the speed of a stage of training.

        Args:
            name: the label of the progress bar.
            epochs: passes over the messages.
            rate: multiplies the learning rate.
            messages: of an epoch, where synthetic ones are among them.
        """
        batch_size = batch_size_for(len(self.training), self.config.batch_size)
        steps = epochs * batch_count(messages or len(self.training), batch_size)
        schedule = WarmUpLinearDecay(self.config.learning_rate * rate, steps)
        return Plan(name, epochs, batch_size, schedule)

    def make_loss(self, teacher: Optional[TaskModel]) -> LabelLoss:
        """The objective of a stage of training with a teacher, or without one."""
        return DistillationLoss(teacher, self.config.distillation, self.heads) if teacher else LabelLoss(self.heads)

    def whole_ids(self, input_ids: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Ids of the whole vocabulary, which the exported model has."""
        return self.vocabulary.whole(input_ids)


def _pieces(examples: Sequence[Example], heads: Sequence[Head], state: ModelState, config: BertOptions) -> List[Pieces]:
    """The wordpieces of messages, split where the heads need it."""
    split_points = {word: places for head in heads for word, places in head.split_points.items()}
    tokenizer = PieceTokenizer(state.tokenizer, config.max_length, split_points)
    return [tokenizer.encode(example.text) for example in examples]


def _filled_pieces(
    filled: Sequence[Filled], heads: Sequence[Head], state: ModelState, config: BertOptions
) -> List[Pieces]:
    """The wordpieces of synthetic messages, split where their entities begin and end, as annotated ones are."""
    texts, entities = ([getattr(message.example, name) for message in filled] for name in ("text", "entities"))
    before = {word: places for head in heads for word, places in head.split_points.items()}
    split_points = split_points_for(texts, entities, state.tokenizer, before=before)
    tokenizer = PieceTokenizer(state.tokenizer, config.max_length, split_points)
    return [tokenizer.encode(text) for text in texts]


def _encoded(
    examples: Sequence[Example], pieces: Sequence[Pieces], heads: Sequence[Head], *, extra: Sequence[np.ndarray] = ()
) -> Tuple[EncodedExamples, UsedVocabulary]:
    """Messages with labels, and the vocabulary that they and some further messages use."""
    input_ids = [message.input_ids for message in pieces]
    vocabulary = UsedVocabulary.of([*input_ids, *extra])
    labels = {head.name: head.encode(examples, pieces) for head in heads}
    continues = [message.continues for message in pieces]
    return EncodedExamples(vocabulary.renumber(input_ids), labels, continues), vocabulary


def _synthetic(
    examples: Sequence[Example], heads: Sequence[Head], state: ModelState, config: BertOptions
) -> List[np.ndarray]:
    """Wordpiece ids of synthetic messages; none if no head learns of them, nothing is pruned or there is no teacher."""
    count = config.distillation.synthetic_messages
    learnt = any(head.learns_unlabelled for head in heads)
    if not count or not learnt or config.pruning.method == "none" or not config.distillation.enabled:
        return []
    texts, options = [example.text for example in examples], AugmentationConfig(n_iter=count)
    table, seed = state.parameters["embeddings.word"], config.random_seed
    made = synthetic_messages(texts, options, tokenizer=state.tokenizer, table=table, seed=seed)
    encoder = WordpieceTokenizer(state.tokenizer, config.max_length)
    return [encoder.encode(message.text) for message in made]
