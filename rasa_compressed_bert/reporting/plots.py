"""Plots as PNG files."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any, Iterator, Tuple


@contextlib.contextmanager
def drawn(path: Path, *, of: str = "", **arguments: Any) -> Iterator[Tuple[Any, Any]]:
    """A context manager that yields a figure and its axes, and writes a PNG at its end; it needs no display.

    Args:
        path: of the file; its folder is created if needed.
        of: the description in the metadata of the file.
        arguments: passed to `pyplot.subplots`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(**arguments)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)  # boxes in their places
            yield figure, axes
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(str(path), dpi=120, metadata={"Description": of})
    finally:
        pyplot.close(figure)


def as_written(text: str) -> str:
    """A text of a user, such as a file name, escaped so that matplotlib reads no formula in it."""
    return text.replace("$", r"\$")
