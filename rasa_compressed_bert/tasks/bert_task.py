"""What all stages of the training of a BERT share: options, labels, messages and where it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Container, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.config import AugmentationConfig, BertOptions
from rasa_compressed_bert.data.entities import EntityLabel, TagScheme, TagSpan
from rasa_compressed_bert.data.example import Example, class_indices
from rasa_compressed_bert.data.warnings import warn_of_long_messages, warn_of_lost_entities
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.students.synthetic import synthetic_messages
from rasa_compressed_bert.tasks.start import Start
from rasa_compressed_bert.tasks.targets import Targets
from rasa_compressed_bert.tokenization.pieces import Pieces, align_entities, split_points_for
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import NO_TAG, EncodedExamples, batch_count, batch_size_for
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
        targets: what is learnt.
        start: what training starts from.
        examples: the training messages; none is held out.
        training: their wordpieces, and what is learnt of each.
        vocabulary: the wordpieces that the messages use.
        synthetic: messages without labels, given as wordpiece ids, that the dense model teaches the pruned one with.
        num_names: how many training messages, the last ones, are names of intents.
    """

    config: BertOptions
    targets: Targets
    start: Start
    examples: Sequence[Example]
    training: EncodedExamples
    vocabulary: UsedVocabulary
    synthetic: Sequence[np.ndarray] = ()
    num_names: int = 0

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        targets: Targets,
        start: Start,
        config: BertOptions,
        *,
        names: Sequence[Example] = (),
    ) -> BertTask:
        """Tokenizes the examples and the names of intents, and makes synthetic messages."""
        examples = [*examples, *names]
        texts = [example.text for example in examples]
        classes = class_indices(examples, targets.labels) if targets.labels else np.full(len(examples), -1, np.int32)
        synthetic = _synthetic(texts, targets, start, config)
        if targets.scheme is None:
            encoded = EncodedExamples(WordpieceTokenizer(start.tokenizer, config.max_length).encode_all(texts), classes)
        else:
            tokenizer = targets.tokenizer(start.tokenizer, config.max_length)
            pieces = [tokenizer.encode(text) for text in texts]
            warn_of_long_messages([message.truncated for message in pieces], config.max_length)
            encoded, targets, lost = _tagged(examples, pieces, targets, targets.scheme, classes, num_names=len(names))
            warn_of_lost_entities(lost)
        vocabulary = UsedVocabulary.of([*encoded.input_ids, *synthetic])
        encoded = replace(encoded, input_ids=vocabulary.renumber(encoded.input_ids))
        synthetic = vocabulary.renumber(synthetic)
        return cls(config, targets, start, examples, encoded, vocabulary, synthetic, num_names=len(names))

    @property
    def texts(self) -> List[str]:
        """Of the training messages."""
        return [example.text for example in self.examples]

    def without_annotations(self, held_out: np.ndarray) -> BertTask:
        """The same messages, none of which is split into wordpieces where annotations of some of them begin or end.

        Args:
            held_out: places of messages whose annotations a model must not know; their tags are those of the nearest
                wordpieces.
        """
        if self.targets.scheme is None:
            return self
        hidden = set(held_out.tolist())
        known = [() if place in hidden else example.entities for place, example in enumerate(self.examples)]
        cuts = split_points_for(self.texts, known, self.start.tokenizer, before={})
        targets = replace(self.targets, cuts=cuts, inside_words=False)
        tokenizer = targets.tokenizer(self.start.tokenizer, self.config.max_length)
        pieces = [tokenizer.encode(text) for text in self.texts]
        encoded, targets, _ = _tagged(
            self.examples,
            pieces,
            targets,
            self.targets.scheme,
            self.training.classes,
            num_names=self.num_names,
            held_out=hidden,
        )
        vocabulary = UsedVocabulary.of(encoded.input_ids)
        encoded = replace(encoded, input_ids=vocabulary.renumber(encoded.input_ids))
        return replace(self, targets=targets, training=encoded, vocabulary=vocabulary, synthetic=())

    def first_model(self) -> TaskModel:
        """The model that training starts from, with the word embeddings that the messages use."""
        return self.model(self.start.shape, self.vocabulary.narrow(self.start.parameters))

    def model(
        self,
        shape: EncoderShape,
        parameters: Parameters,
        *,
        dropout: float = DROPOUT,
        quantizer: Optional[Quantizer] = None,
    ) -> TaskModel:
        """A model of these widths and values."""
        narrow = replace(shape, vocab_size=len(parameters["embeddings.word"]))
        seeded = Dropout(dropout, seed=self.config.random_seed)
        return TaskModel(narrow, parameters, dropout=seeded, quantizer=quantizer)

    def plan(self, name: str, epochs: int, *, rate: float = 1.0, messages: Optional[int] = None) -> Plan:
        """A stage of training.

        Args:
            name: what the progress bar says.
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
        weight = self.config.entity_loss_weight
        return (
            DistillationLoss(teacher, self.config.distillation, entity_loss_weight=weight)
            if teacher
            else LabelLoss(weight)
        )

    def whole_ids(self, input_ids: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Ids of the whole vocabulary, which the exported model has."""
        return self.vocabulary.whole(input_ids)


def _tagged(
    examples: Sequence[Example],
    pieces: Sequence[Pieces],
    targets: Targets,
    scheme: TagScheme,
    classes: np.ndarray,
    *,
    num_names: int,
    held_out: Container[int] = (),
) -> Tuple[EncodedExamples, Targets, List[Tuple[str, str]]]:
    """Messages with their tags, targets that know whether entities lie inside words, and entities that are lost.

    The tags `(T + 2,)` say nothing of the special wordpieces, nor of what is left of an entity whose end is cut off.

    Args:
        examples: the messages.
        pieces: of each message.
        targets: whose cuts the pieces were made with.
        scheme: of the tags.
        classes: of the messages.
        num_names: how many of them, the last ones, are names of intents, of which nobody annotated the entities.
        held_out: places of messages that do not tell where entities lie.
    """
    index: Mapping[EntityLabel, int] = {label: position for position, label in enumerate(scheme.labels)}
    inside_words = targets.inside_words
    tags: List[np.ndarray] = []
    lost: List[Tuple[str, str]] = []
    for place, (example, message) in enumerate(zip(examples, pieces)):
        spans, remains, gone = align_entities(example.entities, message, index)
        inner = scheme.tags(spans, len(message.starts))
        for span in remains:
            inner[span.first : span.end] = NO_TAG
        if place >= len(examples) - num_names:
            inner[:] = NO_TAG
        tags.append(np.concatenate([[NO_TAG], inner, [NO_TAG]]).astype(np.int32))
        lost.extend((example.text[span.start : span.end], span.entity) for span in gone)
        inside_words = inside_words or (place not in held_out and _inside_words(spans, message))
    continues = None if inside_words else [message.continues for message in pieces]
    encoded = EncodedExamples(
        [message.input_ids for message in pieces], classes, tags=tags, scheme=scheme, continues=continues
    )
    return encoded, replace(targets, inside_words=inside_words), lost


def _inside_words(spans: Sequence[TagSpan], message: Pieces) -> bool:
    """Whether an entity begins or ends between the wordpieces of a word."""
    return any(
        place < len(message.continues) and bool(message.continues[place])
        for span in spans
        for place in (span.first, span.end)
    )


def _synthetic(texts: Sequence[str], targets: Targets, start: Start, config: BertOptions) -> List[np.ndarray]:
    """Wordpiece ids of synthetic messages: none without intents, and where nothing is pruned or nobody teaches."""
    count = config.distillation.synthetic_messages
    if not count or not targets.labels or config.pruning.method == "none" or not config.distillation.enabled:
        return []
    options = AugmentationConfig(n_iter=count)
    table, seed = start.parameters["embeddings.word"], config.random_seed
    made = synthetic_messages(texts, options, tokenizer=start.tokenizer, table=table, seed=seed)
    encoder = WordpieceTokenizer(start.tokenizer, config.max_length)
    return [encoder.encode(message.text) for message in made]
