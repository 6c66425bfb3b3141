"""Milliseconds of what is served, on a machine that may have other things to do."""

from __future__ import annotations

import time
from typing import Any, Callable, List, Sequence

import numpy as np


def quietest_median(run: Callable[[Any], Any], messages: Sequence[Any], *, rounds: int = 25) -> float:
    """Milliseconds of one message at a time: the median, of the quietest of some rounds.

    Args:
        run: takes a message.
        messages: one or more.
        rounds: over all of them.
    """
    medians: List[float] = []
    for _ in range(rounds):
        seconds = []
        for message in messages:
            start = time.perf_counter()
            run(message)
            seconds.append(time.perf_counter() - start)
        medians.append(float(np.median(seconds)))
    return 1000.0 * min(medians)
