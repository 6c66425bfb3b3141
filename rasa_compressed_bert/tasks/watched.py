"""Checks before a training, its overall progress, and curves for TensorBoard."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from pathlib import Path
from typing import Any, Iterator, List

from rasa_compressed_bert.config import BertOptions, ComponentConfig
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.lines import read_lines
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.tasks.cross_fitting import FEWEST, PLAIN_SPLIT_FROM
from rasa_compressed_bert.training.progress import whole_training
from rasa_compressed_bert.training.scope import FEWEST_OUTSIDE

logger = logging.getLogger(__name__)
_FILES = (("out_of_scope", "messages"), ("augmentation", "unlabelled"))
_WITH_TEACHER = 1.3  # duration of a train step with a teacher, relative to one without


@contextlib.contextmanager
def watched(config: Any, *, messages: int, continued: bool) -> Iterator[None]:
    """Checks the files that later stages need, then shows the overall progress of the training in the `with` block.

    Args:
        config: the options of the component.
        messages: the number of training messages.
        continued: whether the training of a model is continued, in a single stage.

    Raises:
        DataError: if a file of messages that the options name cannot be read.
        CompressedBertError: if the folder of the curves cannot be written.
    """
    directory = config.tensorboard_log_directory and os.path.expanduser(config.tensorboard_log_directory)
    require_files(config)
    _warn_of_few_outside(config)
    if directory is not None:
        _require_folder(directory)
    works = [] if continued else _expected_works(config, messages)
    with whole_training(works, directory):
        yield


def require_files(config: Any) -> None:
    """Checks the files that later stages read.

    Raises:
        DataError: if one of them cannot be read.
    """
    for section, name in _FILES:
        path = getattr(getattr(config, section, None), name, None)
        if path is not None:
            read_lines(path, option=f"{section}.{name}")


def _warn_of_few_outside(config: Any) -> None:
    """Warns of messages out of scope that are too few to have an effect."""
    path = getattr(getattr(config, "out_of_scope", None), "messages", None)
    count = len(read_lines(path, option="out_of_scope.messages")) if path is not None else FEWEST_OUTSIDE
    if count < FEWEST_OUTSIDE:
        logger.warning(
            f"out_of_scope.messages: '{path}' has no effect, as it has {counted(count, 'message', 'messages')}; at "
            f"least {FEWEST_OUTSIDE} different ones are needed."
        )


def _require_folder(name: str) -> None:
    """Creates the folder of the curves, and checks that it can be written."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompressedBertError(f"tensorboard_log_directory: '{name}' cannot be created: {error}") from error
    if not os.access(name, os.W_OK):
        raise CompressedBertError(f"tensorboard_log_directory: the folder '{name}' cannot be written to.")


def _expected_works(config: ComponentConfig, messages: int) -> List[float]:
    """The relative durations of the stages that train a BERT, in their order.

    Empty for a training whose stages are not known beforehand.

    Args:
        config: the options of the component.
        messages: the number of training messages.
    """
    if not isinstance(config, BertOptions) or config.budget.is_given:
        return []
    short = math.ceil(0.5 * config.epochs)
    works: List[float] = []
    if config.validation_split and messages >= FEWEST:
        few = messages < PLAIN_SPLIT_FROM
        works += 2 * [0.5 * short] if few else [(1.0 - config.validation_split) * short]
    pruned = config.pruning.method != "none"
    works.append(short if pruned else config.epochs)
    rate = _WITH_TEACHER if config.distillation.enabled else 1.0
    if pruned:
        pruning = min(config.epochs, max(1, math.ceil(config.pruning.end_epoch)))
        works += [rate * part for part in (pruning, config.epochs - pruning) if part]
    if config.quantization.aware_training:
        works.append(rate * short)
    return works
