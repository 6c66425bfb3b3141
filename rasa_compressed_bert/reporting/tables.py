"""Formatting cells and tables."""

from __future__ import annotations

from typing import List, Sequence

_PERCENT = " %"


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f} %"


def points(change: float) -> str:
    """Percentage points with a sign, except for 0."""
    text = f"{change:+.1f}"
    return text[1:] if float(text) == 0 else text


def without_repeated_units(rows: Sequence[Sequence[str]]) -> List[List[str]]:
    """Moves the per cent sign of a column to its header if all cells of the column have it.

    Args:
        rows: the header, then the rows; empty cells are ignored.
    """
    columns = []
    for head, *cells in zip(*rows):
        if any(cells) and all(cell.endswith(_PERCENT) for cell in cells if cell):
            head, cells = f"{head}, %", [cell[: -len(_PERCENT)] if cell else cell for cell in cells]
        columns.append([head, *cells])
    return [list(row) for row in zip(*columns)]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column is aligned to the left, the others to the right."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" + "|---:" * (len(rows[0]) - 1) + "|", *lines[1:]])
