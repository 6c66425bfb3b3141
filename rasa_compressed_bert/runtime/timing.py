"""Measures latency on a machine that may be busy with other things."""

from __future__ import annotations

import time
from typing import Any, Callable, List, Sequence

import numpy as np


def quietest_median(run: Callable[[Any], Any], messages: Sequence[Any], *, rounds: int = 25) -> float:
    """The median latency in milliseconds, of single messages, in the fastest of several rounds.

    Args:
        run: takes a message.
        messages: at least one message.
        rounds: the number of rounds over all messages.
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
