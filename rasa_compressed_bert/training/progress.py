"""Progress of a training: a bar with the score and the time left, lines in logs, and curves for TensorBoard."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import sys
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

from tqdm import tqdm

logger = logging.getLogger(__name__)
_FORMAT = "{desc}: {percentage:3.0f} %{postfix} |{bar:20}|"
_SCORES = {"macro_f1": "macro F1", "accuracy": "accuracy", "entity_f1": "entity F1"}


class Whole:
    """The stages of a whole training, for an estimate of the time left.

    Args:
        works: the relative durations of the stages, in their order; empty if they are not known.
        log_directory: the directory of the curves for TensorBoard; None writes none.
    """

    def __init__(self, works: Sequence[float] = (), log_directory: Optional[str] = None):
        self._works, self.log_directory = works, log_directory
        self._begun = 0
        self._start = time.monotonic()

    def begin(self) -> Optional[int]:
        """Starts the next stage and returns its number, from 1; None if its duration is not known."""
        self._begun += 1
        if self._begun == 1:
            self._start = time.monotonic()
        return self._begun if self._begun <= len(self._works) else None

    def place(self, number: int) -> str:
        """The number of a stage and of all stages, as text."""
        return f"{number}/{len(self._works)}"

    def seconds_left(self, number: int, done: float) -> Optional[float]:
        """The time left for the whole training, with the share `done` of a stage done; None before the first step."""
        finished = sum(self._works[: number - 1]) + done * self._works[number - 1]
        if not finished:
            return None
        return (time.monotonic() - self._start) * (sum(self._works) / finished - 1.0)


_whole: ContextVar[Optional[Whole]] = ContextVar("whole", default=None)


@contextlib.contextmanager
def whole_training(works: Sequence[float] = (), log_directory: Optional[str] = None) -> Iterator[None]:
    """Shows the stages in the `with` block as parts of one training; see `Whole`."""
    token = _whole.set(Whole(works, log_directory))
    try:
        yield
    finally:
        _whole.reset(token)


class Stage:
    """The progress of one stage; see `stage`."""

    def __init__(self, name: str, steps: int, bar: Any, whole: Optional[Whole], number: Optional[int]):
        self._name, self._steps, self._bar = name, max(steps, 1), bar
        self._whole, self._number = whole, number
        self._done = 0
        self._writer: Any = None
        self._describe({})

    def step(self) -> None:
        """Counts one more step."""
        self._done += 1
        self._bar.update()

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Shows the results of an epoch.

        Args:
            number: the number of the epoch, from 1.
            values: its measures by name. The bar shows scores only, as losses of different objectives cannot be
                compared; TensorBoard gets all measures.
        """
        self._describe(values)
        left = (
            None
            if self._number is None or self._whole is None
            else self._whole.seconds_left(self._number, self._done / self._steps)
        )
        if left is not None:
            self._bar.set_postfix_str(f"{tqdm.format_interval(left)} left in total", refresh=False)
        if self._whole is not None and self._whole.log_directory:
            self._record(self._whole.log_directory, number, values)

    def _describe(self, values: Mapping[str, float]) -> None:
        scores = [f"{name} {100 * values[key]:.1f} %" for key, name in _SCORES.items() if key in values]
        place = [] if self._number is None or self._whole is None else [self._whole.place(self._number)]
        self._bar.set_description_str(" ".join([*scores, self._name, *place]))

    def _record(self, directory: str, epoch: int, values: Mapping[str, float]) -> None:
        import tensorflow as tf

        if self._writer is None:
            folder = re.sub(r"\W+", "_", self._name).strip("_")
            self._writer = tf.summary.create_file_writer(str(Path(directory) / folder))
        with self._writer.as_default(step=epoch):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer.flush()


@contextlib.contextmanager
def stage(name: str, steps: int, *, of_whole: bool = True) -> Iterator[Stage]:
    """Shows the progress of a stage: a bar on a terminal, otherwise a line in the log; nothing above log level INFO.

    Args:
        name: the name of the stage.
        steps: the number of steps in the stage.
        of_whole: whether it is one of the stages that `whole_training` counts.
    """
    whole = _whole.get()
    number = whole.begin() if whole and of_whole else None
    start, told = time.monotonic(), logger.isEnabledFor(logging.INFO)
    on_terminal = sys.stderr.isatty()
    columns = shutil.get_terminal_size().columns - 1
    hidden: Dict[str, Any] = {} if told and on_terminal else {"disable": True}
    with tqdm(total=steps, bar_format=_FORMAT, ncols=columns, mininterval=1.0, **hidden) as bar:
        yield Stage(name, steps, bar, whole, number)
    if told and not on_terminal and of_whole:
        place = f"Stage {whole.place(number).replace('/', ' of ')}, " if whole and number else ""
        logger.info(f"{place}{name}: {time.monotonic() - start:.0f} s.")
