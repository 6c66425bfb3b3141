"""The value that flows through the stages of the training of a BERT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.augmentation.filled_messages import Filled
from rasa_compressed_bert.compression.quantization import NOT_CALIBRATED, Calibration
from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example, evenly_spaced
from rasa_compressed_bert.heads import Head
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tasks.cross_fitted import NOTHING_HELD_OUT, CrossFitted, Scores
from rasa_compressed_bert.tokenization.pieces import Pieces
from rasa_compressed_bert.training.batches import EncodedExamples
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

_CALIBRATION_MESSAGES = 300


@dataclass(frozen=True)
class Messages:
    """The training messages, as they are written and as the model reads them.

    Attributes:
        examples: the messages; the names of intents come last.
        pieces: their wordpieces, with ids of the whole vocabulary; none of a student, whose messages are encoded.
        encoded: the messages with the labels of the heads; models are scored and calibrated on them.
        learnt: what models are trained on: `encoded`, followed by `filled`.
        vocabulary: the wordpieces that all these messages use; the ids of encoded ones are positions in it.
        synthetic: messages without labels, given as wordpiece ids, that the dense model teaches the pruned one with.
        filled: synthetic messages with known values of entities, which alone are learnt of them.
    """

    examples: Sequence[Example]
    pieces: Sequence[Pieces]
    encoded: EncodedExamples
    learnt: EncodedExamples
    vocabulary: UsedVocabulary
    synthetic: Sequence[np.ndarray] = ()
    filled: Sequence[Filled] = ()

    @property
    def texts(self) -> List[str]:
        """Of the messages."""
        return [example.text for example in self.examples]

    @property
    def to_calibrate_on(self) -> List[np.ndarray]:
        """Encoded messages for the ranges of activations, evenly spaced."""
        input_ids = self.encoded.input_ids
        return [input_ids[place] for place in evenly_spaced(len(input_ids), _CALIBRATION_MESSAGES)]

    @property
    def num_names(self) -> int:
        """How many messages are names of intents, whose entities nobody annotated."""
        return sum(not example.annotated for example in self.examples)


@dataclass(frozen=True)
class TrainingRun:
    """A model in training, and all that stages need to know: each of them takes a run and returns it.

    Attributes:
        config: all options.
        heads: what is learnt.
        start: the weights that training starts from, with the whole vocabulary.
        messages: what is learnt from.
        model: as the last stage left it; a stage that trains changes it in place.
        rng: of the order of the messages.
        scores: of the training messages after each stage so far.
        cross_fitted: what held-out messages showed.
        calibration: what the format of the model needs to know.
    """

    config: BertOptions
    heads: Tuple[Head, ...]
    start: ModelState
    messages: Messages
    model: TaskModel
    rng: np.random.Generator
    scores: Scores = field(default_factory=dict)
    cross_fitted: CrossFitted = NOTHING_HELD_OUT
    calibration: Calibration = NOT_CALIBRATED
