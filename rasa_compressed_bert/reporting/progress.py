"""Progress of a command on standard error: a bar on a terminal, else lines."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from typing import Callable, Iterator, List, Optional

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

logger = logging.getLogger(__name__)
_WIDE = 60  # columns; narrower terminals have no room for a bar
_LINES = 10
_SECONDS = 5.0  # between lines


class Work:
    """Progress of some work.

    Args:
        total: number of units of work.
        done: number of units that are done already.
        show: called with the number of units done and a note, whenever one of them changes.
    """

    def __init__(self, total: int, done: int, show: Callable[[int, str], None]) -> None:
        self.total, self.done, self._note, self._show = total, done, "", show

    def advance(self, count: int = 1) -> None:
        """Adds to the number of units done."""
        self.reach(self.done + count)

    def reach(self, done: int) -> None:
        """Sets the number of units done."""
        self.done = min(done, self.total)
        self._show(self.done, self._note)

    def note(self, text: str) -> None:
        """Sets the note, such as what is worked on, or the best result so far."""
        self._note = text
        self._show(self.done, text)


@contextlib.contextmanager
def progress(title: str, total: int, *, unit: str, done: int = 0) -> Iterator[Work]:
    """Shows the progress of some work, unless warnings are switched off too (`--quiet`).

    Args:
        title: the name of the work.
        total: number of units of work.
        unit: the name of a unit, in the plural.
        done: number of units that an earlier call has done.
    """
    console = Console(stderr=True, highlight=False)
    if not logger.isEnabledFor(logging.WARNING):
        yield Work(total, done, lambda *_: None)
    elif console.is_terminal:
        with Progress(*_columns(console.width, unit), console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, completed=done, note="")
            yield Work(total, done, lambda count, note: bar.update(task, completed=count, note=note))
    else:
        yield Work(total, done, _Lines(title, total, unit))


def _columns(width: int, unit: str) -> List[ProgressColumn]:
    """The columns that fit into the width; the note, which has the score, is more important than the bar."""
    note = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    title = TextColumn("{task.description}", markup=False)
    columns: List[ProgressColumn] = [
        title,
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", table_column=note, markup=False),
    ]
    if width >= _WIDE:
        columns += [BarColumn(bar_width=20)]
    return [*columns, TimeRemainingColumn(compact=True)]


class _Lines:
    """Writes a line at the first call, after each tenth if the last line is five seconds old, and at the end."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._written: Optional[int] = None
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, note: str) -> None:
        tenth, now = _LINES * done // max(self._total, 1), time.monotonic()
        is_early = self._written is not None and done < self._total and now - self._last < _SECONDS
        if tenth == self._written or is_early:
            return
        self._written, self._last = tenth, now
        parts = [f"{self._title}: {done} of {self._total} {self._unit}", f"{now - self._start:.0f} s"]
        sys.stderr.write(f"{', '.join([*parts, note] if note else parts)}\n")
        sys.stderr.flush()
