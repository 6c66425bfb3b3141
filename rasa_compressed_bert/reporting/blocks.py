"""The elements of a report, independent of the terminal that shows it."""

from __future__ import annotations

from typing import FrozenSet, List, Mapping, NamedTuple, Sequence, Union

from rasa_compressed_bert.reporting.printable import as_printable
from rasa_compressed_bert.reporting.tables import without_repeated_units


class Heading(NamedTuple):
    """A line above the blocks that belong to it."""

    text: str


class Prose(NamedTuple):
    """Sentences, which are wrapped to the width of the terminal."""

    text: str


class Lines(NamedTuple):
    """Lines that are never wrapped, such as paths and commands, so that they can be copied."""

    lines: Sequence[str]


class Facts(NamedTuple):
    """Pairs of a name and its value."""

    values: Mapping[str, str]


class Table(NamedTuple):
    """Rows of cells below a header.

    Attributes:
        rows: the header, then the rows; the first cell of a row is its name and is aligned to the left, the others to
            the right. A unit that all cells of a column share is moved to the header.
        strong: numbers of the rows that are highlighted; the header is 0.
        left: number of leading columns that are aligned to the left, and repeated if a table is split.
    """

    rows: Sequence[Sequence[str]]
    strong: FrozenSet[int] = frozenset()
    left: int = 1

    @property
    def with_units_in_heads(self) -> List[List[str]]:
        """The rows as they are shown, with shared units in the header."""
        return without_repeated_units(self.rows)


Block = Union[Heading, Prose, Lines, Facts, Table]


def printable(block: Block) -> Block:
    """A block with control characters escaped, see `as_printable`."""
    if isinstance(block, (Heading, Prose)):
        return block._replace(text=as_printable(block.text))
    if isinstance(block, Lines):
        return Lines([as_printable(line) for line in block.lines])
    if isinstance(block, Facts):
        return Facts({as_printable(name): as_printable(value) for name, value in block.values.items()})
    return block._replace(rows=[[as_printable(cell) for cell in row] for row in block.rows])
