"""What all stages of the training of a BERT share: options, labels, messages and where it starts."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import List, Mapping, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.config import AugmentationConfig, BertConfig
from rasa_compressed_bert.data.entities import EntityLabel, TagScheme, TagSpan
from rasa_compressed_bert.data.example import Example, class_indices
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.students.synthetic import synthetic_messages
from rasa_compressed_bert.tasks.start import Start
from rasa_compressed_bert.tasks.targets import Targets
from rasa_compressed_bert.tokenization.pieces import Cuts, Pieces, PieceTokenizer, located
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer, warn_of_cuts
from rasa_compressed_bert.training.batches import NO_TAG, EncodedExamples, batch_count, batch_size_for
from rasa_compressed_bert.training.loop import Plan
from rasa_compressed_bert.training.objectives import Labels, Teacher
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

logger = logging.getLogger(__name__)
DROPOUT = 0.1  # of a model that learns from labels; one that follows a teacher needs none
STUDENT_RATE = 3.0  # times the learning rate: a compressed model has further to go, and its teacher holds it


@dataclass(frozen=True)
class BertTask:
    """Tokenized messages, with ids of `vocabulary`, and what is trained on them.

    Attributes:
        config: all options.
        targets: what is learnt.
        start: what training starts from.
        texts: of the training messages.
        training: every message; none is held out.
        vocabulary: the wordpieces that the messages use.
        synthetic: messages without labels, given as wordpiece ids, that the dense model teaches the pruned one with.
        num_names: how many training messages, the last ones, are names of intents.
    """

    config: BertConfig
    targets: Targets
    start: Start
    texts: Sequence[str]
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
        config: BertConfig,
        *,
        names: Sequence[Example] = (),
    ) -> BertTask:
        """Tokenizes the examples and the names of intents, and makes synthetic messages."""
        examples = [*examples, *names]
        texts = [example.text for example in examples]
        tags: Optional[List[np.ndarray]] = None
        continues: Optional[List[np.ndarray]] = None
        if targets.scheme is None:
            input_ids = WordpieceTokenizer(start.tokenizer, config.max_length).encode_all(texts)
        else:
            pieces = pieces_of(texts, start.tokenizer, config.max_length, targets.cuts)
            input_ids = [message.input_ids for message in pieces]
            spans, tags = _tagged(examples, pieces, targets.scheme)
            for named in tags[len(examples) - len(names) :]:
                named[:] = NO_TAG  # a name has no annotations
            targets = replace(targets, inside_words=targets.inside_words or _inside_words(spans, pieces))
            if not targets.inside_words:
                continues = [message.continues for message in pieces]
        synthetic = _synthetic(texts, targets, start, config)
        vocabulary = UsedVocabulary.of([*input_ids, *synthetic])
        classes = class_indices(examples, targets.labels) if targets.labels else np.full(len(examples), -1, np.int32)
        encoded = EncodedExamples(
            vocabulary.renumber(input_ids), classes, tags=tags, scheme=targets.scheme, continues=continues
        )
        return cls(config, targets, start, texts, encoded, vocabulary, vocabulary.renumber(synthetic), len(names))

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

    def follow(self, teacher: Optional[TaskModel]) -> Labels:
        """The objective of a stage of training with a teacher, or without one."""
        weight = self.config.entity_loss_weight
        return Teacher(teacher, self.config.distillation, entity_loss_weight=weight) if teacher else Labels(weight)

    def whole_ids(self, input_ids: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Ids of the whole vocabulary, which the exported model has."""
        return self.vocabulary.whole(input_ids)


def pieces_of(texts: Sequence[str], tokenizer: str, max_length: int, cuts: Cuts) -> List[Pieces]:
    """The wordpieces of messages; warns once of messages that are cut."""
    encoder = PieceTokenizer(tokenizer, max_length, cuts)
    pieces = [encoder.encode(text) for text in texts]
    warn_of_cuts([message.cut for message in pieces], max_length)
    return pieces


def _tagged(
    examples: Sequence[Example], pieces: Sequence[Pieces], scheme: TagScheme
) -> Tuple[List[List[TagSpan]], List[np.ndarray]]:
    """The entities of each message as wordpieces, and all tags; warns once of entities that cannot be learnt.

    The tags `(T + 2,)` say nothing of the special wordpieces, nor of what is left of an entity whose end is cut off.
    """
    index: Mapping[EntityLabel, int] = {label: position for position, label in enumerate(scheme.labels)}
    spans, tags, lost = [], [], []
    for example, message in zip(examples, pieces):
        own, remains, gone = located(example.entities, message, index)
        inner = scheme.tags(own, len(message.starts))
        for span in remains:
            inner[span.first : span.end] = NO_TAG
        spans.append(own)
        tags.append(np.concatenate([[NO_TAG], inner, [NO_TAG]]).astype(np.int32))
        lost.extend((example.text[span.start : span.end], span.entity) for span in gone)
    if lost:
        logger.warning(
            f"{len(lost)} annotated entities are not learnt: they lie in what max_length cuts off, or consist of "
            f"nothing that has a wordpiece. The first is '{lost[0][0][:40]}' ({lost[0][1]})."
        )
    return spans, tags


def _inside_words(spans: Sequence[Sequence[TagSpan]], pieces: Sequence[Pieces]) -> bool:
    """Whether an entity begins or ends between the wordpieces of a word."""
    return any(
        place < len(message.continues) and bool(message.continues[place])
        for own, message in zip(spans, pieces)
        for span in own
        for place in (span.first, span.end)
    )


def _synthetic(texts: Sequence[str], targets: Targets, start: Start, config: BertConfig) -> List[np.ndarray]:
    """Wordpiece ids of synthetic messages: none without intents, and where nothing is pruned or nobody teaches."""
    count = config.distillation.synthetic_messages
    if not count or not targets.labels or config.pruning.method == "none" or not config.distillation.enabled:
        return []
    options = AugmentationConfig(n_iter=count)
    table, seed = start.parameters["embeddings.word"], config.random_seed
    made = synthetic_messages(texts, options, tokenizer=start.tokenizer, table=table, seed=seed)
    encoder = WordpieceTokenizer(start.tokenizer, config.max_length)
    return [encoder.encode(message.text) for message in made]
