"""Trains a component with given options, and measures the served model on held-out data."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from typing import Any, Dict, Mapping, Optional, Sequence, Type

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import BertOptions, DistilledIntentClassifierConfig, TrainedConfig
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.search.dotted import flat, merged
from rasa_compressed_bert.search.goals import Measured
from rasa_compressed_bert.search.task import SearchTask
from rasa_compressed_bert.tasks.watched import require_files

logger = logging.getLogger(__name__)
_QUICK = 0.25  # share of the epochs
_DENSE_KEPT = 4
_OF_COMPRESSION = ("runtime", "pruning", "distillation", "quantization", "budget")
"""Options that do not affect the dense teacher of a BERT, except for those in `Evaluator._start_of`."""
_OF_TRAINING = ("epochs", "batch_size", "learning_rate")
"""Options of the teacher and of the pruned model; on the search's own split, the teacher has those of config.yml."""


class Evaluator:
    """Trains and measures models; a dense teacher is trained once and reused by all trials.

    Args:
        task: the data that models are trained and measured on.
        config_class: dataclass of the component's options.
        base: options of the config.yml; those of a trial replace them.
        maximize: the score that is maximised; None means the component's default.

    Raises:
        ConfigError: if the options of the config.yml are invalid.
        DataError: if a file of messages that they name cannot be read.
    """

    def __init__(
        self,
        task: SearchTask,
        config_class: Type[TrainedConfig],
        base: Mapping[str, Any],
        *,
        maximize: Optional[str] = None,
    ):
        self._task, self._config_class, self._base, self._maximize = task, config_class, base, maximize
        self._dense: Dict[str, Any] = {}
        config = config_class.from_dict(base)
        require_files(config)  # as they are read last, after minutes
        if isinstance(config, BertOptions) and config.budget.is_given:
            raise ConfigError("budget: leave it out, and give its limits to search as --threshold")
        if isinstance(config, DistilledIntentClassifierConfig) and config.teacher.model is not None:
            logger.warning(
                f"teacher.model: '{config.teacher.model}' may have learnt the messages that the search measures on; "
                "scores are too high then. Leave it out: the search trains a teacher without them."
            )

    def values_with(self, options: Mapping[str, Any]) -> Dict[str, Any]:
        """All options of the component by dotted names: the given ones, else those of the config.yml, else defaults.

        Raises:
            ConfigError: if they contradict each other.
        """
        return flat(self._config_class.from_dict(merged(self._base, options)).to_dict())

    def measure(self, options: Mapping[str, Any], *, quick: bool = False, split: int = 0) -> Optional[Measured]:
        """Trains the component with these options, and returns its scores and costs.

        Args:
            options: the options of the trial, by their dotted names.
            quick: whether to train for a quarter of the epochs: sizes and times are as after the whole training, scores
                are lower.
            split: number of the split. On 0, the search's own, one dense BERT is the teacher of all trials. On others
                a model is trained as by `rasa train`; models whose dense teachers would be the same share one.

        Returns:
            The figures; None if `quick` would take more than half of the epochs.

        Raises:
            ConfigError: if the options contradict each other.
            CompressedBertError: if training fails.
        """
        given = merged(self._base, options)
        config = self._config_class.from_dict(given)
        if quick:
            epochs = max(2, math.ceil(config.epochs * _QUICK))
            if 2 * epochs > config.epochs:
                return None
            config = self._config_class.from_dict(merged(given, _shortened(config, epochs)))
        training, held_out = self._task.split(split)
        artifact = self._train(config, training, held_out, split)
        return replace(self._task.measured(artifact, held_out), maximized=self._maximize)

    def _train(self, config: TrainedConfig, training: Sequence[Any], held_out: Sequence[Any], split: int) -> Artifact:
        if not isinstance(config, BertOptions) or config.pruning.method == "none":
            return self._task.train(config, training, held_out)
        start = self._start_of(config, split)
        key = json.dumps([split, start], sort_keys=True)
        if key not in self._dense:
            dense = config if split else type(config).from_dict(merged(self._base, start))
            if len(self._dense) == _DENSE_KEPT:
                del self._dense[next(iter(self._dense))]
            self._dense[key] = self._task.fine_tune(dense, training, held_out)
        return self._task.compress(self._dense[key], config)

    def _start_of(self, config: BertOptions, split: int) -> Dict[str, Any]:
        """The options that affect the dense teacher, and which messages the pruned models learn besides the labelled.

        Args:
            config: all options of a trial that prunes.
            split: number of the split.
        """
        others = _OF_COMPRESSION if split else (*_OF_COMPRESSION, *_OF_TRAINING)
        start = {name: value for name, value in config.to_dict().items() if name not in others}
        start["distillation.enabled"] = config.distillation.enabled
        start["distillation.synthetic_messages"] = config.distillation.synthetic_messages
        base: BertOptions = type(config).from_dict(self._base)
        if base.pruning.method == "none":  # the dense model would be trained as one that is not pruned afterwards
            start["pruning.method"] = config.pruning.method
        return start


def _shortened(config: TrainedConfig, epochs: int) -> Dict[str, Any]:
    """Options of a shorter training, with begin and end of pruning scaled to it."""
    pruning, share = config.pruning, epochs / config.epochs
    if pruning.method == "none":
        return {"epochs": epochs}
    places = {"begin_epoch": pruning.begin_epoch * share, "end_epoch": pruning.end_epoch * share}
    return {"epochs": epochs, **{f"pruning.{name}": place for name, place in places.items()}}
