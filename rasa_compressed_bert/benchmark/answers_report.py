"""A comparison of answer extractors as a table, and as a plot of F1 against latency and size."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Mapping, NamedTuple, Sequence

from rasa_compressed_bert.reporting.blocks import Block, Prose, Table
from rasa_compressed_bert.reporting.plots import as_written, drawn
from rasa_compressed_bert.reporting.tables import percent
from rasa_compressed_bert.reporting.trade_off import Point, cycled, draw_trade_off

_COSTS = {"latency_p50_ms": "milliseconds a question on its passage (median)", "extractor_mb": "size, MB"}
LEGEND = (
    "Exact match and F1 as in SQuAD 2.0: for an unanswerable question, both are 1 if the model gives no answer. p50, "
    "p95: milliseconds per question on its own passage, without Rasa and without the search in the documents. MB: the "
    "files of the extractor, compressed as in the archive."
)


class _Column(NamedTuple):
    heading: str
    key: str
    write: Callable[[Any], str]


_COLUMNS = (
    _Column("model", "model", str),
    _Column("exact", "exact", percent),
    _Column("F1", "f1", percent),
    _Column("exact, answerable", "answerable_exact", percent),
    _Column("F1, answerable", "answerable_f1", percent),
    _Column("exact, unanswerable", "unanswerable_exact", percent),
    _Column("min. confidence", "threshold", "{:.3g}".format),
    _Column("p50 ms", "latency_p50_ms", "{:.2f}".format),
    _Column("p95 ms", "latency_p95_ms", "{:.2f}".format),
    _Column("MB", "extractor_mb", "{:.1f}".format),
)


def answer_blocks(results: Sequence[Mapping[str, Any]]) -> List[Block]:
    """The table for a terminal, and an explanation of its columns."""
    return [Table(answer_rows(results)), Prose(LEGEND)]


def answer_rows(results: Sequence[Mapping[str, Any]]) -> List[List[str]]:
    """A header and one row per model, without columns that are empty for all models."""
    columns = [column for column in _COLUMNS if any(column.key in result for result in results)]
    return [
        [column.heading for column in columns],
        *([column.write(one[column.key]) for column in columns] for one in results),
    ]


def plot_answers(results: Sequence[Mapping[str, Any]], path: Path, *, title: str) -> None:
    """Writes a PNG: F1 in per cent over milliseconds per question and over size."""
    with drawn(path, figsize=(13, 5.5), ncols=2, sharey=True) as (figure, panels):
        panels[0].set_ylabel("F1, %")
        figure.suptitle(as_written(title))
        for axes, (key, label) in zip(panels, _COSTS.items()):
            points = [
                Point(result["model"], result[key], 100.0 * result["f1"], 0.0, *cycled(place))
                for place, result in enumerate(results)
            ]
            draw_trade_off(axes, points, cost=label)
        figure.tight_layout()
