"""A comparison of models as a table, and as a plot of score against latency and size."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Collection, Dict, List, Mapping, NamedTuple, Sequence

import numpy as np

from rasa_compressed_bert.metrics.confidences import FALLBACK_THRESHOLD
from rasa_compressed_bert.reporting.blocks import Block, Prose, Table
from rasa_compressed_bert.reporting.plots import as_written, drawn
from rasa_compressed_bert.reporting.tables import percent
from rasa_compressed_bert.reporting.trade_off import Point, cycled, draw_trade_off

_LATENCY, _SIZE = "latency_p50_ms", "archive_mb"
_COSTS = {_LATENCY: "milliseconds a message (median)", _SIZE: "size of the archive, MB"}


class Column(NamedTuple):
    """A column: its header, the key of the result, and the formatting of its value."""

    heading: str
    key: str
    write: Callable[[Any], str]


def _number(digits: int) -> Callable[[Any], str]:
    return lambda value: f"{value:.{digits}f}"


COMPARISON = (
    Column("model", "model", str),
    Column("accuracy", "accuracy", percent),
    Column("macro F1", "macro_f1", percent),
    Column("entity F1", "entity_f1", percent),
    Column("ECE", "calibration_error", percent),
    Column("entity ECE", "entity_calibration_error", percent),
    Column(f"rejected at {FALLBACK_THRESHOLD}", "below_threshold", percent),
    Column("OOS AUROC", "out_of_scope_auroc", percent),
    Column("OOS F1", "fallback_f1", percent),
    Column("best OOS F1", "best_fallback_f1", percent),
    Column("its threshold", "best_fallback_threshold", str),
    Column("group", "group", lambda number: str(number + 1)),
    Column("p50 ms", "latency_p50_ms", _number(2)),
    Column("p95 ms", "latency_p95_ms", _number(2)),
    Column("p99 ms", "latency_p99_ms", _number(2)),
    Column("components p50 ms", "components_p50_ms", _number(2)),
    Column("p50 ms, apart", "apart_p50_ms", _number(2)),
    Column("HTTP/s, 1 worker", "answers_per_second_1", _number(0)),
    Column("HTTP/s, 2 workers", "answers_per_second_2", _number(0)),
    Column("archive MB", "archive_mb", _number(1)),
    Column("memory MB", "memory_mb", _number(0)),
    Column("load s", "load_s", _number(2)),
    Column("training s", "training_s", _number(0)),
    Column("sparsity", "sparsity", percent),
)
IN_SHORT = {
    *("model", "accuracy", "macro_f1", "entity_f1", "out_of_scope_auroc", "best_fallback_f1", "group"),
    *("latency_p50_ms", "apart_p50_ms", "latency_p99_ms", "answers_per_second_2"),
    *("archive_mb", "memory_mb", "training_s"),
}
"""The most important columns to choose a model."""
_EXPLAINED = {
    "latency_p50_ms": "p50, p95, p99: milliseconds per message in Rasa's Agent.parse_message; components: only in the "
    "components of the pipeline, without Rasa's own work.",
    "apart_p50_ms": "apart: with a pause before each message, in which caches go cold.",
    "calibration_error": "ECE: expected calibration error.",
    "entity_calibration_error": "entity ECE: that of the entities that are found.",
    "below_threshold": f"rejected: test messages with a confidence below {FALLBACK_THRESHOLD}, the default threshold "
    "of FallbackClassifier.",
    "out_of_scope_auroc": "OOS: how well confidences separate messages out of scope from others: AUROC, and F1 at a "
    f"fallback threshold of {FALLBACK_THRESHOLD} and at the best one.",
    "answers_per_second_1": "HTTP/s: answers per second to eight clients on the same machine.",
    "memory_mb": "memory: resident memory that the model adds to that of Rasa's own modules, after all messages.",
    "load_s": "load: seconds to load the model, without Rasa's own imports.",
    "accuracy": "Where FallbackClassifier rejects an intent, that intent is scored, as in `rasa test nlu`.",
}


def comparison_blocks(results: Sequence[Mapping[str, Any]]) -> List[Block]:
    """The table for a terminal, and an explanation of its columns."""
    return [Table(comparison_rows(results)), Prose(legend(results))]


def legend(results: Sequence[Mapping[str, Any]]) -> str:
    """An explanation of the columns of a comparison, without those that are empty for all models."""
    known = [text for key, text in _EXPLAINED.items() if any(result.get(key) is not None for result in results)]
    return " ".join(filter(None, [*known, groups_in_words(results)]))


def groups_in_words(results: Sequence[Mapping[str, Any]]) -> str:
    """A sentence for models that were not all measured at once, see `comparison.compare_models`; empty for others."""
    if _count_of_groups(results) < 2:
        return ""
    return (
        "Memory did not suffice to measure all models at once: they were timed in groups (`group`), one after the "
        "other, and times of different groups cannot be compared."
    )


def latency_label(results: Sequence[Mapping[str, Any]]) -> str:
    """The label of a plot's axis of latency."""
    count = _count_of_groups(results)
    return _COSTS[_LATENCY] + (f", in {count} groups" if count > 1 else "")


def _count_of_groups(results: Sequence[Mapping[str, Any]]) -> int:
    return len({result.get("group", 0) for result in results})


def comparison_rows(results: Sequence[Mapping[str, Any]], *, in_short: bool = False) -> List[List[str]]:
    """A header and one row per model, without empty columns; `in_short` leaves only the columns of `IN_SHORT`.

    The groups of models are shown if there is more than one.
    """
    wanted = [column for column in COMPARISON if column.key in IN_SHORT or not in_short]
    wanted = [column for column in wanted if column.key != "group" or _count_of_groups(results) > 1]
    columns = [column for column in wanted if any(result.get(column.key) is not None for result in results)]
    rows = [[column.heading for column in columns]]
    for result in results:
        values = [result.get(column.key) for column in columns]
        rows.append(["" if value is None else column.write(value) for column, value in zip(columns, values)])
    return rows


def plot_comparison(
    results: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    title: str = "",
    name_of: Callable[[str], str] = str,
    looks: Mapping[str, Sequence[str]] = MappingProxyType({}),
    incomplete: Collection[str] = (),
) -> None:
    """Writes a PNG: macro F1 in per cent over milliseconds per message and over size, for models that have a score.

    Results with the same name are seeds of one model: their mean is shown, and the standard deviation of the score. The
    description in the file is a digest of the data that it shows, see `digest_of`.

    Args:
        results: as `comparison.compare` returns them.
        path: path of the PNG.
        title: above the panels.
        name_of: function from the name of a result to the shown name of its model; by default the same.
        looks: colours and markers by shown names; other models get theirs by position.
        incomplete: names of models whose archives lack their weights, and which are therefore not shown over size.
    """
    seeds: Dict[str, List[Mapping[str, Any]]] = {}
    for result in results:
        if result["macro_f1"] is not None:
            seeds.setdefault(name_of(result["model"]), []).append(result)
    with drawn(path, of=digest_of(results), figsize=(13, 5.5), ncols=2, sharey=True) as (figure, panels):
        panels[0].set_ylabel("macro F1, %")
        figure.suptitle(as_written(title))
        for axes, (key, label) in zip(panels, _COSTS.items()):
            points = [
                _point(name, own, key, look=looks.get(name, cycled(index)))
                for index, (name, own) in enumerate(seeds.items())
                if key != _SIZE or name not in incomplete
            ]
            if points:
                draw_trade_off(axes, points, cost=latency_label(results) if key == _LATENCY else label)
        figure.tight_layout()


def _point(name: str, seeds: Sequence[Mapping[str, Any]], cost: str, *, look: Sequence[str]) -> Point:
    scores = [100.0 * result["macro_f1"] for result in seeds]
    deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    costs = [result[cost] for result in seeds]
    return Point(name, float(np.mean(costs)), float(np.mean(scores)), deviation, *look)


def digest_of(results: Sequence[Mapping[str, Any]]) -> str:
    """A digest of the data that `plot_comparison` shows."""
    shown = [[result["model"], result["macro_f1"], *(result[key] for key in _COSTS)] for result in results]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()
