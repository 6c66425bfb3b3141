"""A training that is watched: its stages as parts of the whole, and curves for TensorBoard."""

from __future__ import annotations

import contextlib
import math
from typing import Any, Iterator, List

from rasa_compressed_bert.config import BertOptions, ComponentConfig
from rasa_compressed_bert.tasks.cross_fitting import FEWEST, PLAIN_SPLIT_FROM
from rasa_compressed_bert.training.progress import whole_training

_WITH_TEACHER = 1.3  # a train step that asks a teacher too, relative to one that does not


@contextlib.contextmanager
def watched(config: Any, *, messages: int, continued: bool) -> Iterator[None]:
    """Shows how far the training within is.

    Args:
        config: of the component.
        messages: that it is trained on.
        continued: whether a trained model is trained further, in a single stage.
    """
    works = [] if continued else _expected_works(config, messages)
    with whole_training(works, config.tensorboard_log_directory):
        yield


def _expected_works(config: ComponentConfig, messages: int) -> List[float]:
    """How long the stages that train a BERT take, relative to each other, in their order.

    None of a training whose stages are not known beforehand.

    Args:
        config: of the component.
        messages: that it is trained on.
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
