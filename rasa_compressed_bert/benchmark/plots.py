"""Score against latency, and against bits and sparsity."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.benchmark.tables import SENSITIVITY, macro_f1_changes, points, setting_name
from rasa_compressed_bert.data.counts import counted

_TITLES = {"bits": "k-means", "sparsity": "magnitude pruning, weights set to zero"}
_TICKS = (-100, -30, -10, -3, -1, 0, 1, 3)
_COSTS = {"latency_p50_ms": "milliseconds a message, p50", "archive_mb": "MB of the archive"}
_COLOURS, _MARKERS = 10, "oDs"
_DARK = 9.0  # points of change whose colour needs white letters


@contextlib.contextmanager
def drawn(path: Path, *, of: str = "", **arguments: Any) -> Iterator[Tuple[Any, Any]]:
    """A figure and its axes, written as a PNG after the block; without a display.

    Args:
        path: of the file; its folder is made if need be.
        of: its description, which nobody sees.
        arguments: of `pyplot.subplots`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(**arguments)
    try:
        yield figure, axes
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(str(path), dpi=120, metadata={"Description": of})
    finally:
        pyplot.close(figure)


def plot_comparison(results: Sequence[Mapping[str, Any]], path: Path, *, title: str = "") -> None:
    """Writes a PNG: macro F1 in per cent over milliseconds of a message and over size; without a score, no point.

    Its description is the digest of what it shows, see `digest_of`.
    """
    shown = [result for result in results if result["macro_f1"] is not None]
    with drawn(path, of=digest_of(results), figsize=(13, 5), ncols=2, sharey=True) as (figure, panels):
        for axes, (key, label) in zip(panels, _COSTS.items()):
            for number, result in enumerate(shown):
                point = (result[key], 100.0 * result["macro_f1"])
                marker = _MARKERS[number // _COLOURS % len(_MARKERS)]
                axes.scatter(*point, s=45, color=f"C{number % _COLOURS}", marker=marker, label=result["model"])
            axes.set_xscale("log")
            axes.set_xlabel(f"{label} (log scale)")
            axes.margins(x=0.15, y=0.1)
            axes.grid(True, which="both", alpha=0.3)
        panels[0].set_ylabel("macro F1, %")
        panels[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
        figure.suptitle(title)
        figure.tight_layout()


def digest_of(results: Sequence[Mapping[str, Any]]) -> str:
    """What a plot of `plot_comparison` shows, as a digest."""
    shown = [[result["model"], result["macro_f1"], *(result[key] for key in _COSTS)] for result in results]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def plot_sensitivity(content: Mapping[str, Any], path: Path) -> None:
    """Writes a PNG: two heat maps, the parts of a model over bits and over sparsity; the colour is the change of score.

    Colours are linear up to a point and logarithmic beyond it, so that a tenth of a point and a ruin can both be seen.
    """
    from matplotlib import colors

    norm = colors.SymLogNorm(linthresh=1.0, linscale=0.3, vmin=-100.0, vmax=100.0)
    height = 2.2 + 0.2 * len(content["targets"])
    with drawn(path, nrows=1, ncols=2, sharey=True, figsize=(10, height), constrained_layout=True) as (figure, panels):
        for axes, kind in zip(panels, SENSITIVITY):
            image = _heat_map(axes, macro_f1_changes(content, kind), kind=kind, norm=norm)
        _name_parts(panels, content["targets"])
        bar = figure.colorbar(image, ax=panels, location="bottom", aspect=60, pad=0.01, ticks=_TICKS)
        bar.ax.set_xticklabels([f"{tick:+d}" if tick else "0" for tick in _TICKS])
        bar.ax.set_xlim(_TICKS[0], _TICKS[-1])
        bar.set_label("change of macro F1, percentage points")
        before = 100 * content["uncompressed"]["macro_f1"]
        messages = counted(content["messages"], "message", "messages")
        figure.suptitle(
            f"{content['model']}: one part compressed at a time\n"
            f"macro F1 uncompressed: {before:.1f} %, {messages} of {content['nlu']}"
        )


def _heat_map(axes: Any, changes: Dict[float, List[float]], *, kind: str, norm: Any) -> Any:
    values = np.array(list(changes.values())).T  # (parts, settings)
    image = axes.imshow(values, aspect="auto", cmap="RdBu", norm=norm)
    axes.set_title(_TITLES[kind], fontsize=10)
    axes.set_xticks(range(len(changes)))
    axes.set_xticklabels([setting_name(kind, value) for value in changes])
    axes.tick_params(top=True, labeltop=True, length=0, labelsize=8)
    for (row, column), change in np.ndenumerate(values):
        color = "white" if abs(change) > _DARK else "black"
        axes.text(column, row, points(change), ha="center", va="center", fontsize=7, color=color)
    return image


def _name_parts(panels: Sequence[Any], targets: Sequence[Mapping[str, Any]]) -> None:
    """Labels, and a line between groups of parts; in the last group, between layers."""
    panels[0].set_yticks(range(len(targets)))
    panels[0].set_yticklabels([target["name"] for target in targets])
    kinds = [target["group"] if target["group"] != "part" else target["name"].split(",")[0] for target in targets]
    for row in range(1, len(targets)):
        if kinds[row] != kinds[row - 1]:
            for axes in panels:
                axes.axhline(row - 0.5, color="black", linewidth=0.8)
