"""Score against latency."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence


def plot_comparison(results: Sequence[Mapping[str, Any]], path: Path, *, title: str = "") -> None:
    """Writes a PNG: macro F1 in per cent over the median milliseconds of a message; without a score, no point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    try:
        for result in results:
            if result["macro_f1"] is None:
                continue
            point = (result["latency_p50_ms"], 100.0 * result["macro_f1"])
            axes.scatter(*point, s=30)
            axes.annotate(result["model"], point, textcoords="offset points", xytext=(5, 4), fontsize=8)
        axes.set_xscale("log")
        axes.set_xlabel("milliseconds a message (p50, log scale)")
        axes.set_ylabel("macro F1, %")
        axes.set_title(title)
        axes.margins(x=0.15, y=0.1)
        axes.grid(True, which="both", alpha=0.3)
        figure.tight_layout()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(str(path), dpi=120)
    finally:
        pyplot.close(figure)
