"""When pruning happens and how far it has to go: tfmot's schedules over train steps."""

from __future__ import annotations

import warnings
from typing import Optional

with warnings.catch_warnings():  # it compares TensorFlow's version by what Python is about to drop
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorflow_model_optimization.sparsity.keras import ConstantSparsity, PolynomialDecay, PruningSchedule

from rasa_compressed_bert.config import PruningConfig

_MIN_UPDATES = 10  # a small training set has few steps: one large cut would leave nothing to recover


def pruning_schedule(
    config: PruningConfig, steps_per_epoch: int, *, final_sparsity: Optional[float] = None
) -> PruningSchedule:
    """The schedule that `config` describes; calling it with a step gives (is a mask update due, the sparsity then).

    `polynomial_decay` is tfmot's cubic one, `s(t) = s_f + (s_i - s_f) (1 - (t - t_0) / (t_1 - t_0))^3` (Zhu and Gupta
    2017, arXiv 1710.01878). Updates come at least `_MIN_UPDATES` times where there are that many steps, and the last
    one comes at the end exactly, so that `final_sparsity` is reached.

    Args:
        config: begin and end in epochs, `frequency` in steps.
        steps_per_epoch: train steps of an epoch.
        final_sparsity: a component's own, instead of the config's.
    """
    final = config.final_sparsity if final_sparsity is None else final_sparsity
    end = max(1, int(round(config.end_epoch * steps_per_epoch)))
    begin = min(int(round(config.begin_epoch * steps_per_epoch)), end - 1)  # `end` may be the last step there is
    frequency = max(1, min(config.frequency, (end - begin) // _MIN_UPDATES))
    end = begin + max(1, (end - begin) // frequency) * frequency
    if config.schedule == "constant":
        return ConstantSparsity(final, begin, end_step=end, frequency=frequency)
    return PolynomialDecay(min(config.initial_sparsity, final), final, begin, end, power=3, frequency=frequency)
