"""Pruning schedules over train steps, from tfmot: when masks are updated, and with which sparsity."""

from __future__ import annotations

import warnings
from typing import Optional

with warnings.catch_warnings():  # tfmot compares versions with a deprecated module
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorflow_model_optimization.sparsity.keras import ConstantSparsity, PolynomialDecay, PruningSchedule

from rasa_compressed_bert.config import PruningConfig

_MIN_UPDATES = 10  # a small training set has few steps, but pruning has to be gradual for the model to recover


def pruning_schedule(
    config: PruningConfig, steps_per_epoch: int, *, final_sparsity: Optional[float] = None
) -> PruningSchedule:
    """The schedule of `config`; calling it with a step returns whether a mask update is due, and the sparsity.

    `polynomial_decay` is tfmot's cubic one, `s(t) = s_f + (s_i - s_f) (1 - (t - t_0) / (t_1 - t_0))^3` (Zhu and Gupta
    2017, arXiv 1710.01878). There are at least `_MIN_UPDATES` updates, if there are that many steps, and the last one
    is exactly at the end, so that `final_sparsity` is reached.

    Args:
        config: the options; begin and end are in epochs, `frequency` in steps.
        steps_per_epoch: the number of train steps in an epoch.
        final_sparsity: the sparsity of one kind of units, instead of that of `config`.
    """
    final = config.final_sparsity if final_sparsity is None else final_sparsity
    end = max(1, int(round(config.end_epoch * steps_per_epoch)))
    begin = min(int(round(config.begin_epoch * steps_per_epoch)), end - 1)  # `end` may be the last step of training
    frequency = max(1, min(config.frequency, (end - begin) // _MIN_UPDATES))
    end = begin + max(1, (end - begin) // frequency) * frequency
    if config.schedule == "constant":
        return ConstantSparsity(final, begin, end_step=end, frequency=frequency)
    return PolynomialDecay(min(config.initial_sparsity, final), final, begin, end, power=3, frequency=frequency)
