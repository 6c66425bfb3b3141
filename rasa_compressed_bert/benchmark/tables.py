"""Tables for people: text for a terminal, Markdown for a document."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence

from rasa_compressed_bert.metrics.confidences import FALLBACK_THRESHOLD


class Column(NamedTuple):
    """Heading, key of the result, and how its value is written."""

    heading: str
    key: str
    write: Callable[[Any], str]


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f} %"


def _number(digits: int) -> Callable[[Any], str]:
    return lambda value: f"{value:.{digits}f}"


COMPARISON = (
    Column("model", "model", str),
    Column("accuracy", "accuracy", percent),
    Column("macro F1", "macro_f1", percent),
    Column("entity F1", "entity_f1", percent),
    Column("ECE", "calibration_error", percent),
    Column("OOS AUROC", "out_of_scope_auroc", percent),
    Column("OOS F1", "fallback_f1", percent),
    Column("best OOS F1", "best_fallback_f1", percent),
    Column("its threshold", "best_fallback_threshold", str),
    Column("p50 ms", "latency_p50_ms", _number(2)),
    Column("p95 ms", "latency_p95_ms", _number(2)),
    Column("p99 ms", "latency_p99_ms", _number(2)),
    Column("components p50 ms", "components_p50_ms", _number(2)),
    Column("HTTP/s, 1 worker", "answers_per_second_1", _number(0)),
    Column("HTTP/s, 2 workers", "answers_per_second_2", _number(0)),
    Column("archive MB", "archive_mb", _number(1)),
    Column("memory MB", "memory_mb", _number(0)),
    Column("load s", "load_s", _number(2)),
    Column("training s", "training_s", _number(0)),
    Column("sparsity", "sparsity", percent),
)
IN_SHORT = {
    *("model", "accuracy", "macro_f1", "entity_f1", "out_of_scope_auroc", "best_fallback_f1"),
    *("latency_p50_ms", "latency_p99_ms", "answers_per_second_2", "archive_mb", "memory_mb", "training_s"),
}
"""The columns to choose a model by."""
LEGEND = (
    "p50, p95, p99: milliseconds of a whole message through Rasa's Agent.parse_message; components: without what Rasa "
    "does around the components of the pipeline. ECE: expected calibration error. OOS: of telling messages out of "
    f"scope apart by their confidence, F1 at a fallback threshold of {FALLBACK_THRESHOLD} and at the best one. HTTP/s: "
    "answers a second that eight clients on the same machine get. memory: what the model adds to a worker's resident "
    "memory after all messages, on top of Rasa's own modules. load: on top of Rasa's own imports. A fallback is "
    "undone, as `rasa test nlu` does."
)
SENSITIVITY = ("bits", "sparsity")
MB = 1e6


def comparison_rows(results: Sequence[Mapping[str, Any]], *, in_short: bool = False) -> List[List[str]]:
    """Heading and one row a model, without columns that no model has; `in_short` with those of `IN_SHORT` alone."""
    wanted = [column for column in COMPARISON if column.key in IN_SHORT or not in_short]
    columns = [column for column in wanted if any(result.get(column.key) is not None for result in results)]
    rows = [[column.heading for column in columns]]
    for result in results:
        values = [result.get(column.key) for column in columns]
        rows.append(["" if value is None else column.write(value) for column, value in zip(columns, values)])
    return rows


def sensitivity_rows(content: Mapping[str, Any]) -> List[List[str]]:
    """Heading and one row a part of the model: its weights, and the change of macro F1 in points by each setting."""
    rows = [[target["name"], f"{target['weights'] / MB:.2f}"] for target in content["targets"]]
    heading = ["part", "million weights"]
    for kind in SENSITIVITY:
        for value, changes in macro_f1_changes(content, kind).items():
            heading.append(setting_name(kind, value))
            for row, change in zip(rows, changes):
                row.append(points(change))
    return [heading, *rows]


def macro_f1_changes(content: Mapping[str, Any], kind: str) -> Dict[float, List[float]]:
    """By bits or by sparsity, and for each part: macro F1 minus that of the whole model uncompressed, in points."""
    scores = {(cell["target"], cell["value"]): cell["macro_f1"] for cell in content["cells"] if cell["kind"] == kind}
    before = content["uncompressed"]["macro_f1"]
    return {
        value: [100 * (scores[target["name"], value] - before) for target in content["targets"]]
        for value in content["made_from"]["settings"][kind]
    }


def setting_name(kind: str, value: float) -> str:
    """`4 bits`, or `80 %` for a sparsity."""
    return f"{100 * value:g} %" if kind == "sparsity" else f"{value} bit" + "s" * (value != 1)


def points(change: float) -> str:
    """Percentage points with a sign; 0 has none."""
    text = f"{change:+.1f}"
    return text[1:] if float(text) == 0 else text


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first is aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" + "|---:" * (len(rows[0]) - 1) + "|", *lines[1:]])
