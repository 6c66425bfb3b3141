"""Search on messages with intents and entities: splits, training and scores."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.artifact.cache import cached
from rasa_compressed_bert.augmentation.usable_values import without_held_out_synonyms
from rasa_compressed_bert.config import BertOptions, EntityConfig, TrainedConfig
from rasa_compressed_bert.data.example import Example, class_indices, evenly_spaced, intent_labels
from rasa_compressed_bert.data.known_values import NO_VALUES, KnownValues
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.runtime.predictors import open_predictor
from rasa_compressed_bert.runtime.timing import quietest_median
from rasa_compressed_bert.search.goals import Measured
from rasa_compressed_bert.search.splits import split_places
from rasa_compressed_bert.search.task import TIMED, parameters_of
from rasa_compressed_bert.tasks import bert_training
from rasa_compressed_bert.tasks.distillation import train_distilled_classifier
from rasa_compressed_bert.tasks.served_outputs import served_scores
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.units import MB

_CACHED_BYTES = 4e9


class MessageTask:
    """Labelled messages, split with stratification by intent; see `task.SearchTask`.

    Args:
        examples: all labelled messages.
        cache: folder in which the teachers of students and their predictions are kept.
        known: lookup tables and synonyms, from which models with entities also learn.

    Raises:
        DataError: if there are too few messages to hold some out.
    """

    def __init__(self, examples: Sequence[Example], *, cache: Path, known: KnownValues = NO_VALUES):
        self._examples, self._classes = examples, class_indices(examples, intent_labels(examples))
        self._known = known
        self._cache = partial(cached, cache, most=_CACHED_BYTES)
        if not self.split(0)[1]:
            raise DataError("search: there are too few messages to hold some out; search needs at least five.")

    def split(self, split: int) -> Tuple[List[Example], List[Example]]:
        """The training messages, and the held-out messages."""
        training, held_out = split_places(self._classes, [example.text for example in self._examples], split=split)
        return [self._examples[place] for place in training], [self._examples[place] for place in held_out]

    def train(self, config: TrainedConfig, training: Sequence[Example], held_out: Sequence[Example]) -> Artifact:
        """Trains a classifier or an extractor."""
        if isinstance(config, BertOptions):
            known = self._known_to(config, training, held_out)
            return bert_training.train_bert(training, config, known=known)
        texts = [example.text for example in held_out]
        return train_distilled_classifier(training, config, cache=self._cache, held_out=texts)

    def fine_tune(self, config: BertOptions, training: Sequence[Example], held_out: Sequence[Example]) -> TrainingRun:
        """Trains the dense model."""
        return bert_training.fine_tune_bert(training, config, known=self._known_to(config, training, held_out))

    def compress(self, dense: TrainingRun, config: BertOptions) -> Artifact:
        """Compresses a copy of the dense model."""
        return bert_training.compress_bert(dense, config)

    def measured(self, artifact: Artifact, held_out: Sequence[Example]) -> Measured:
        """F1, accuracy, and milliseconds of a message including the tokenizer."""
        predictor = open_predictor(artifact)
        predictions = [predictor.predict(example.text) for example in held_out]
        scores: Dict[str, Any] = {}
        if "entities" in artifact.manifest:  # for data without entities; else served_scores replaces it
            scores["entity_f1"] = 0.0 if any(prediction.entities for prediction in predictions) else 1.0
        scores.update(served_scores(artifact, predictions, held_out))
        timed = [held_out[place].text for place in evenly_spaced(len(held_out), TIMED)]
        return Measured(
            scores,
            latency_ms=quietest_median(predictor.predict, timed),
            size_mb=artifact.archived_size / MB,
            parameters=parameters_of(artifact),
        )

    def _known_to(self, config: BertOptions, training: Sequence[Example], held_out: Sequence[Example]) -> KnownValues:
        """The values to learn besides messages, computed without held-out messages."""
        learns = isinstance(config, EntityConfig) and config.lookups
        return without_held_out_synonyms(self._known, held_out, training) if learns else NO_VALUES
