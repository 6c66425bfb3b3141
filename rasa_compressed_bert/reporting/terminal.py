"""Reports, fitted to the width of a terminal, or as plain lines if standard output is not a terminal.

rich detects what a terminal can show: its width, colours (none with NO_COLOR) and encoding.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Iterable, List, Optional, Sequence, Tuple

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from rasa_compressed_bert.reporting.blocks import Block, Facts, Heading, Lines, Prose, Table, printable

_GAP = 2
_UNLIMITED = 100_000
_NARROW = 60  # columns; on narrower terminals the value of a fact is below its name
_RULE = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def show(blocks: Iterable[Block]) -> None:
    """Writes blocks to standard output, within the width of a terminal or of COLUMNS, else with one line per row."""
    console = console_of(sys.stdout)
    if console.is_terminal:
        for block, part in _parts(list(blocks), console.width):
            console.print(part, soft_wrap=isinstance(block, Lines))
    else:
        sys.stdout.write(as_text(blocks, width=_columns()))
        sys.stdout.flush()


def as_text(blocks: Iterable[Block], *, width: Optional[int] = None) -> str:
    """Blocks as plain text.

    Args:
        blocks: to be written, separated by empty lines.
        width: the maximal length of a line; None for no limit.
    """
    file = io.StringIO()
    console = console_of(file, width=width or _UNLIMITED)
    for block, part in _parts(list(blocks), width):
        console.print(part, soft_wrap=isinstance(block, Lines))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def console_of(file: object, *, width: Optional[int] = None) -> Console:
    """A console that shows text unchanged: brackets in the name of an intent are not markup."""
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)  # type: ignore[arg-type]


def _columns() -> Optional[int]:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) else None


def _parts(blocks: Sequence[Block], width: Optional[int]) -> List[Tuple[Optional[Block], RenderableType]]:
    """The renderables of each block, paired with the block, or with None for separators."""
    parts: List[Tuple[Optional[Block], RenderableType]] = []
    for number, block in enumerate(blocks):
        if number and not (isinstance(block, Lines) and isinstance(blocks[number - 1], Lines)):
            parts.append((None, ""))
        parts.append((block, _renderable(printable(block), width)))
    return parts


def _renderable(block: Block, width: Optional[int]) -> RenderableType:
    if isinstance(block, Heading):
        return Text(block.text, style="bold")
    if isinstance(block, Prose):
        return Text(block.text)
    if isinstance(block, Lines):
        return Text("\n".join(block.lines))
    if isinstance(block, Facts):
        return _facts(block, width)
    return _table(block, width)


def _facts(block: Facts, width: Optional[int]) -> RenderableType:
    if width is not None and width < _NARROW:
        return Group(
            *(
                part
                for name, value in block.values.items()
                for part in (Text(name, style="bold"), Padding(Text(value), (0, 0, 0, _GAP)))
            )
        )
    grid = RichTable.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, _GAP, 0, 0))
    for name, value in block.values.items():
        grid.add_row(Text(name, style="bold"), Text(value))
    return grid


def _table(block: Table, width: Optional[int]) -> RenderableType:
    """A table, split into several with the same first columns if it is wider than the terminal."""
    rows = block.with_units_in_heads
    columns = list(range(len(rows[0])))
    widths = [max(cell_len(row[column]) for row in rows) for column in columns]
    if width is None or _total(widths) <= width:
        return _part(block, rows, widths, columns)
    for column in columns:  # headers may take several lines
        words = max(map(cell_len, rows[0][column].split() or [""]))
        widths[column] = max(words, *(cell_len(row[column]) for row in rows[1:]))
    fixed, others = columns[: block.left], columns[block.left :]
    if _total(widths) > width:
        for column in fixed:  # a long name takes several lines
            widths[column] = min(widths[column], width // 2 // len(fixed) - _GAP)
    start, parts = _total([widths[column] for column in fixed]), []
    while others:
        count, used = 0, start
        while count < len(others) and (not count or used + _GAP + widths[others[count]] <= width):
            used += _GAP + widths[others[count]]
            count += 1
        taken, others = others[:count], others[count:]
        parts.append(_part(block, rows, widths, [*fixed, *taken]))
    return Group(*[piece for part in parts for piece in ("", part)][1:])


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _part(block: Table, rows: Sequence[Sequence[str]], widths: Sequence[int], columns: Sequence[int]) -> RichTable:
    """Some columns of a table."""
    table = RichTable(box=_RULE, show_edge=False, padding=(0, _GAP - 1, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            Text(rows[0][column]),
            justify="left" if column < block.left else "right",
            vertical="bottom",
            width=widths[column],
            overflow="fold",
        )
    for number, row in enumerate(rows[1:], 1):
        table.add_row(*(Text(row[column]) for column in columns), style="bold" if number in block.strong else "")
    return table
