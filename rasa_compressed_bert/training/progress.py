"""What is seen of a training while it runs: a bar with the score and the time left, lines in logs, TensorBoard."""

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
    """The stages of a whole training, of which the time left is estimated.

    Args:
        works: how long each stage takes, in any unit, in their order; none where that is not known.
        log_directory: for TensorBoard; None writes nothing.
    """

    def __init__(self, works: Sequence[float] = (), log_directory: Optional[str] = None):
        self._works, self.log_directory = works, log_directory
        self._begun = 0
        self._start = time.monotonic()

    def begin(self) -> Optional[int]:
        """The number of the stage that begins now, from 1; None where its stages are not known."""
        self._begun += 1
        if self._begun == 1:
            self._start = time.monotonic()
        return self._begun if self._begun <= len(self._works) else None

    def place(self, number: int) -> str:
        """Which of the stages it is."""
        return f"{number}/{len(self._works)}"

    def seconds_left(self, number: int, done: float) -> Optional[float]:
        """Of the whole training, in which a share of a stage is done; None before the first step."""
        finished = sum(self._works[: number - 1]) + done * self._works[number - 1]
        if not finished:
            return None
        return (time.monotonic() - self._start) * (sum(self._works) / finished - 1.0)


_whole: ContextVar[Optional[Whole]] = ContextVar("whole", default=None)


@contextlib.contextmanager
def whole_training(works: Sequence[float] = (), log_directory: Optional[str] = None) -> Iterator[None]:
    """Shows the stages within as parts of one training; see `Whole`."""
    token = _whole.set(Whole(works, log_directory))
    try:
        yield
    finally:
        _whole.reset(token)


class Stage:
    """A stage that is shown; see `stage`."""

    def __init__(self, name: str, steps: int, bar: Any, whole: Optional[Whole], number: Optional[int]):
        self._name, self._steps, self._bar = name, max(steps, 1), bar
        self._whole, self._number = whole, number
        self._done = 0
        self._writer: Any = None
        self._describe({})

    def step(self) -> None:
        """One more step is done."""
        self._done += 1
        self._bar.update()

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """An epoch is done.

        Args:
            number: of the epoch, from 1.
            values: its measures by name. Scores are shown; the others go to TensorBoard alone, as losses of different
                objectives cannot be compared.
        """
        self._describe(values)
        left = (
            None
            if self._number is None or self._whole is None
            else self._whole.seconds_left(self._number, self._done / self._steps)
        )
        if left is not None:
            self._bar.set_postfix_str(f"{tqdm.format_interval(left)} left in all", refresh=False)
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
    """Shows a stage of training: a bar on a terminal, and a line in logs elsewhere, unless only warnings are logged.

    Args:
        name: of the stage.
        steps: in all.
        of_whole: whether it is one of the stages that `whole_training` knows.
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
