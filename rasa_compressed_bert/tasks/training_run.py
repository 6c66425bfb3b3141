"""The value that the stages of a training pass on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.augmentation.filled_messages import Filled
from rasa_compressed_bert.compression.quantization import NOT_CALIBRATED, Calibration
from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example, evenly_spaced
from rasa_compressed_bert.data.known_values import KnownValues
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
    """The training messages, as text and as the model reads them.

    Attributes:
        examples: the messages, followed by the names of intents; empty for questions.
        pieces: their wordpieces, with ids of the whole vocabulary; empty for questions and for a student.
        encoded: the messages with the labels of the heads; models are scored and calibrated on them.
        learnt: what models are trained on: `encoded`, followed by `filled`.
        vocabulary: the wordpieces that occur in these messages; encoded ids are positions in it.
        synthetic: wordpiece ids of unlabelled messages, for which the pruned model learns the dense one's predictions.
        filled: synthetic messages with known values of entities; only their entities are learnt.
        known: the known values; None if none are learnt.
    """

    examples: Sequence[Example]
    pieces: Sequence[Pieces]
    encoded: EncodedExamples
    learnt: EncodedExamples
    vocabulary: UsedVocabulary
    synthetic: Sequence[np.ndarray] = ()
    filled: Sequence[Filled] = ()
    known: Optional[KnownValues] = None

    @property
    def texts(self) -> List[str]:
        """The texts of the messages."""
        return [example.text for example in self.examples]

    @property
    def to_calibrate_on(self) -> List[np.ndarray]:
        """Wordpiece ids of evenly spaced messages, for the ranges of activations."""
        input_ids = self.encoded.input_ids
        return [input_ids[place] for place in evenly_spaced(len(input_ids), _CALIBRATION_MESSAGES)]

    @property
    def num_names(self) -> int:
        """How many messages are names of intents; they have no annotations."""
        return sum(not example.annotated for example in self.examples)


@dataclass(frozen=True)
class TrainingRun:
    """A model in training and everything that the stages need; each stage takes a run and returns an updated one.

    Attributes:
        config: all options.
        heads: the heads of the model.
        start: the weights that training starts from, with the whole vocabulary.
        messages: the training messages.
        model: the model as the previous stage left it; a stage that trains changes it in place.
        rng: shuffles the messages.
        scores: scores on the training messages after each stage so far.
        cross_fitted: measurements on held-out messages.
        calibration: what quantization needs to know of the model.
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
