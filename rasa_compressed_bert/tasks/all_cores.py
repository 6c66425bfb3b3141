"""Runs many messages through an engine: one at a time, as in serving, with one thread for each core."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Callable, Generator, List, Sequence, TypeVar, cast

import numpy as np

from rasa_compressed_bert.training.progress import stage

Result = TypeVar("Result")


def on_all_cores(function: Callable[[int], Result], lengths: Sequence[int], *, name: str) -> List[Result]:
    """The results of a function for each message, in the order of the messages, with a progress bar.

    Messages are run in the order of their lengths: a TFLite interpreter has to be prepared again for each new length.

    Args:
        function: takes the position of a message; runs in several threads at once.
        lengths: the lengths of the messages.
        name: the label of the progress bar.
    """
    shortest_first = np.argsort(lengths, kind="stable").tolist()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = cast("Generator[Result, None, None]", pool.map(function, shortest_first))
        with closing(found):  # so that Ctrl-C does not wait for messages that have not started
            with stage(name, len(lengths), of_whole=False) as shown:
                results = {}
                for place, result in zip(shortest_first, found):
                    results[place] = result
                    shown.step()
    return [results[place] for place in range(len(lengths))]
