"""Trains a component with some options, and measures on held-out messages what would be served.

The messages are split in several ways. A search tries everything on one split, so that trials can be compared; what it
finds there is partly luck. Choices are made on other splits, and reported on yet others. None of these holds out a
message that the search's own holds out, and no two of the first four hold out the same message.
"""

from __future__ import annotations

import json
import logging
import math
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type

import numpy as np

from rasa_compressed_bert.artifact.artifact import WEIGHTS, Artifact
from rasa_compressed_bert.artifact.cache import cached
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.augmentation.usable_values import without_told
from rasa_compressed_bert.config import BertOptions, DistilledIntentClassifierConfig, EntityConfig, TrainedConfig
from rasa_compressed_bert.data.example import Example, class_indices, evenly_spaced, intent_labels, stratified_split
from rasa_compressed_bert.data.known_values import NO_VALUES, KnownValues
from rasa_compressed_bert.errors import ConfigError, DataError
from rasa_compressed_bert.runtime.predictors import open_predictor
from rasa_compressed_bert.runtime.timing import quietest_median
from rasa_compressed_bert.search.dotted import flat, merged
from rasa_compressed_bert.search.goals import Measured
from rasa_compressed_bert.tasks import bert_training
from rasa_compressed_bert.tasks.distillation import train_distilled_classifier
from rasa_compressed_bert.tasks.served_outputs import served_scores
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.training.view_fitting import stratified_folds

logger = logging.getLogger(__name__)
HELD_OUT = 0.2
_OTHER_PARTS = 4  # of what the search's own split does not hold out
_QUICK = 0.25  # of the epochs
_DENSE_KEPT, _CACHED_BYTES = 3, 4e9
_TIMED_MESSAGES = 60
_OF_COMPRESSION = (
    *("epochs", "batch_size", "learning_rate", "runtime"),
    *("pruning", "distillation", "quantization", "budget"),
)
"""Options of a BERT that its dense teacher does not depend on."""


class Evaluator:
    """Trains and measures; the dense teacher is trained once, and teaches every trial.

    Args:
        examples: all labelled messages; of every split a fifth, stratified, is held out to measure on.
        config_class: the component's options.
        base: options of the config.yml, which a trial's replace.
        cache: where the work of a student's teacher is kept.
        known: lookup tables and synonyms, which models with entities learn besides.

    Raises:
        ConfigError: if the options of the config.yml are invalid.
        DataError: if there is nothing to measure on.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        config_class: Type[TrainedConfig],
        base: Mapping[str, Any],
        *,
        cache: Path,
        known: KnownValues = NO_VALUES,
    ):
        self._examples, self._classes = examples, class_indices(examples, intent_labels(examples))
        if not self._split(0)[1]:
            raise DataError("search: there are too few messages to hold some out; search needs at least five.")
        self._config_class, self._base, self._known = config_class, base, known
        self._cache = partial(cached, cache, most=_CACHED_BYTES)
        self._dense: Dict[str, TrainingRun] = {}
        config = config_class.from_dict(base)
        if isinstance(config, BertOptions) and config.budget.is_given:
            raise ConfigError("budget: leave it out, and give its limits to search as --threshold")
        if isinstance(config, DistilledIntentClassifierConfig) and config.teacher.model is not None:
            logger.warning(
                f"teacher.model: '{config.teacher.model}' may have learnt the messages that the search measures on; "
                "scores are too high then. Leave it out: the search trains a teacher without them."
            )

    def values_with(self, options: Mapping[str, Any]) -> Dict[str, Any]:
        """All options of the config.yml by their dotted names, those that it leaves out included, with some others.

        Raises:
            ConfigError: if they contradict each other.
        """
        return flat(self._config_class.from_dict(merged(self._base, options)).to_dict())

    def measure(self, options: Mapping[str, Any], *, quick: bool = False, split: int = 0) -> Optional[Measured]:
        """What a component trained with these options is worth.

        Args:
            options: by their dotted names.
            quick: trains for a quarter of the epochs: sizes and times are those of the whole training, scores lower.
            split: of the messages. That of a search is 0, and one dense BERT is the teacher of all trials there. On
                others a model is trained as `rasa train` does, its dense teacher included.

        Returns:
            None of a quick training that would not be shorter.

        Raises:
            ConfigError: if the options contradict each other.
            CompressedBertError: if training fails.
        """
        given = merged(self._base, options)
        config = self._config_class.from_dict(given)
        if quick:
            epochs = max(2, math.ceil(config.epochs * _QUICK))
            if epochs >= config.epochs:
                return None
            config = self._config_class.from_dict(merged(given, _shortened(config, epochs)))
        training, held_out = self._split(split)
        return measured(self._train(config, training, held_out, split), held_out)

    def _split(self, split: int) -> Tuple[List[Example], List[Example]]:
        """Messages to train on, and to measure on."""
        rest, held_out = stratified_split(self._classes, HELD_OUT, seed=0)
        if split:
            held_out = _other_part(self._classes, rest, split)
        training = np.setdiff1d(np.arange(len(self._examples)), held_out)
        return [self._examples[place] for place in training], [self._examples[place] for place in held_out]

    def _train(
        self, config: TrainedConfig, training: Sequence[Example], held_out: Sequence[Example], split: int
    ) -> Artifact:
        if not isinstance(config, BertOptions):
            texts = [example.text for example in held_out]
            return train_distilled_classifier(training, config, cache=self._cache, held_out=texts)
        learns = isinstance(config, EntityConfig) and config.lookups
        known = without_told(self._known, held_out, training) if learns else NO_VALUES
        if split or config.pruning.method == "none":
            return bert_training.train_bert(training, config, known=known)
        start = {name: value for name, value in config.to_dict().items() if name not in _OF_COMPRESSION}
        key = json.dumps(start, sort_keys=True)
        if key not in self._dense:
            base = type(config).from_dict(merged(self._base, start))
            if len(self._dense) == _DENSE_KEPT:
                del self._dense[next(iter(self._dense))]
            self._dense[key] = bert_training.fine_tune_bert(training, base, known=known)
        return bert_training.compress_bert(self._dense[key], config)


def _other_part(classes: np.ndarray, rest: np.ndarray, split: int) -> np.ndarray:
    """Places of the messages that a split other than the search's own holds out.

    Args:
        classes: of all messages.
        rest: places of those that the search's own split does not hold out; each is in one of `_OTHER_PARTS` parts, and
            after as many splits they are dealt anew.
        split: 1 or more.
    """
    labels, counts = np.unique(classes, return_counts=True)
    rest = rest[~np.isin(classes[rest], labels[counts == 1])]  # the only one of its intent is always learnt
    deal, place = divmod(split - 1, _OTHER_PARTS)
    folds = stratified_folds(classes[rest], _OTHER_PARTS, seed=deal)
    parts = np.unique(folds)  # fewer where there are very few messages
    return rest[folds == parts[place % len(parts)]]


def _shortened(config: TrainedConfig, epochs: int) -> Dict[str, Any]:
    """Options of a shorter training, in which pruning has its share of the epochs."""
    pruning, share = config.pruning, epochs / config.epochs
    if pruning.method == "none":
        return {"epochs": epochs}
    places = {"begin_epoch": pruning.begin_epoch * share, "end_epoch": pruning.end_epoch * share}
    return {"epochs": epochs, **{f"pruning.{name}": place for name, place in places.items()}}


def measured(artifact: Artifact, held_out: Sequence[Example]) -> Measured:
    """Scores and costs of a trained model, as it is served.

    Args:
        artifact: of a classifier or an extractor.
        held_out: labelled messages.
    """
    predictor = open_predictor(artifact)
    predictions = [predictor.predict(example.text) for example in held_out]
    scores: Dict[str, Any] = {"macro_f1": None, "accuracy": None, "entity_f1": None}
    if "entities" in artifact.manifest:  # where nothing is annotated, nothing is to be found
        scores["entity_f1"] = 0.0 if any(prediction.entities for prediction in predictions) else 1.0
    scores.update(served_scores(artifact, predictions, held_out))
    timed = [held_out[place].text for place in evenly_spaced(len(held_out), _TIMED_MESSAGES)]
    return Measured(
        **scores,
        latency_ms=quietest_median(predictor.predict, timed),
        size_mb=artifact.archived_size / 1e6,
        parameters=_parameters(artifact),
    )


def _parameters(artifact: Artifact) -> int:
    """Values that are stored; of spaCy's own models, which are not taken apart, none."""
    if WEIGHTS not in artifact.files:
        return 0
    return sum(int(value.size) for value in tensors_from_bytes(artifact.files[WEIGHTS]).values())
