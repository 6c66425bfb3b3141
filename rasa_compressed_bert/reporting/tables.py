"""Tables for people: text for a terminal, Markdown for a document."""

from __future__ import annotations

from typing import Sequence


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f} %"


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
