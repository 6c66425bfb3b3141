"""Figures as PNG files."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any, Iterator, Tuple


@contextlib.contextmanager
def drawn(path: Path, *, of: str = "", **arguments: Any) -> Iterator[Tuple[Any, Any]]:
    """A figure and its axes, written as a PNG after the block; without a display.

    Args:
        path: of the file; its folder is made if need be.
        of: its description, in the metadata of the file.
        arguments: of `pyplot.subplots`.
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
    """A text of a user, such as the name of a file, in which matplotlib finds no formula."""
    return text.replace("$", r"\$")
