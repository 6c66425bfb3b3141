"""Plots of one panel, with the legend to the right of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Iterator, Tuple

from rasa_compressed_bert.reporting.plots import drawn


@contextlib.contextmanager
def panel(path: Path, *, title: str, labels: Tuple[str, str], size: Tuple[float, float]) -> Iterator[Any]:
    """Axes to draw on, written as a PNG after the block; on a logarithmic scale, with a finer grid.

    Args:
        path: of the file.
        title: above the panel.
        labels: of the two axes.
        size: in inches.
    """
    with drawn(path, figsize=size) as (figure, axes):
        yield axes
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.set_title(title)
        axes.grid(True, which="both" if axes.get_xscale() == "log" else "major", alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
        figure.tight_layout()
