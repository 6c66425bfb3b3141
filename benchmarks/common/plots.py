"""Plots with one panel, with the legend at its right."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Iterator, Tuple

from rasa_compressed_bert.reporting.plots import drawn


@contextlib.contextmanager
def panel(path: Path, *, title: str, labels: Tuple[str, str], size: Tuple[float, float]) -> Iterator[Any]:
    """A context manager that yields axes, and writes a PNG at its end; logarithmic scales get a finer grid.

    Args:
        path: path of the PNG.
        title: the title above the panel.
        labels: labels of the two axes.
        size: width and height in inches.
    """
    with drawn(path, figsize=size) as (figure, axes):
        yield axes
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.set_title(title)
        axes.grid(True, which="both" if axes.get_xscale() == "log" else "major", alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
        figure.tight_layout()
