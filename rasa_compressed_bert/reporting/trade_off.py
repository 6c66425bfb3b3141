"""Plots of score against a cost: a labelled point for each model, and the Pareto frontier."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Sequence

from rasa_compressed_bert.reporting.plots import as_written

_MARKERS = "osD^vP"
_PALETTE = 10
"""Number of colours in matplotlib's default cycle."""


class Point(NamedTuple):
    """A model.

    Attributes:
        name: the label of the point.
        cost: the mean over seeds; less is better.
        score: the mean over seeds; more is better.
        deviation: sample standard deviation of the score; 0 for a single seed.
        colour: a colour of matplotlib.
        marker: a marker of matplotlib.
    """

    name: str
    cost: float
    score: float
    deviation: float
    colour: str
    marker: str


def cycled(index: int) -> List[str]:
    """Colour and marker by position, for models that have none of their own; sixty positions differ."""
    return [f"C{index % _PALETTE}", _MARKERS[index // _PALETTE % len(_MARKERS)]]


def frontier(points: Sequence[Point]) -> List[Point]:
    """The Pareto frontier: points that no other point dominates in cost and score, cheapest first."""
    best: List[Point] = []
    for point in sorted(points, key=lambda item: (item.cost, -item.score)):
        if not best or point.score > best[-1].score:
            best.append(point)
    return best


def draw_trade_off(axes: Any, points: Sequence[Point], *, cost: str) -> None:
    """Draws points over a logarithmic cost.

    Args:
        axes: axes of matplotlib.
        points: one or more.
        cost: label of the axis, with its unit.
    """
    from adjustText import adjust_text

    axes.set_xscale("log")
    best = frontier(points)
    axes.plot([point.cost for point in best], [point.score for point in best], color="0.75", linewidth=2, zorder=1)
    for point in points:
        axes.errorbar(
            point.cost,
            point.score,
            yerr=point.deviation or None,
            fmt=point.marker,
            color=point.colour,
            markersize=11 if point.marker == "*" else 7,
            capsize=3,
            zorder=2,
        )
    axes.set_xlabel(cost)
    axes.margins(x=0.18, y=0.14)
    plain_ticks(axes.xaxis)
    axes.grid(True, which="major", alpha=0.3)
    better = _say_where_it_is_better(axes)
    texts = [axes.text(point.cost, point.score, as_written(point.name), fontsize=8, zorder=3) for point in points]
    axes.figure.canvas.draw()  # only then are the positions of texts known
    adjust_text(
        texts,
        x=[point.cost for point in points],
        y=[point.score for point in points],
        ax=axes,
        objects=[better],
        expand=(1.15, 1.5),
        arrowprops={"arrowstyle": "-", "color": "0.55", "linewidth": 0.6},
    )


def plain_ticks(axis: Any) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 times a power of ten, written without exponents."""
    from matplotlib import ticker

    axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.set_minor_formatter(ticker.NullFormatter())


def _say_where_it_is_better(axes: Any) -> Any:
    """Draws an arrow towards better models in the lower left corner, where a model would be cheap and bad."""
    return axes.annotate(
        "better",
        xy=(0.02, 0.12),
        xytext=(0.09, 0.05),
        xycoords="axes fraction",
        textcoords="axes fraction",
        color="0.4",
        fontsize=9,
        va="center",
        arrowprops={"arrowstyle": "->", "color": "0.4"},
    )
