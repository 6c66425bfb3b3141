"""Problems with options, as they are reported to the user."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from datetime import date
from typing import Any, Tuple


@dataclass(frozen=True)
class Problem:
    """One line for the user and the dotted names of the options that it is about."""

    options: Tuple[str, ...]
    text: str


class _Short(reprlib.Repr):
    """A short `repr` with YAML's null, true and false."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 100

    def repr_NoneType(self, value: None, level: int) -> str:
        return "null"

    def repr_bool(self, value: bool, level: int) -> str:
        return "true" if value else "false"

    def repr_date(self, value: date, level: int) -> str:
        return str(value)

    repr_datetime = repr_date


_SHORT = _Short()


def shown(value: Any) -> str:
    """Return a value on one short line, as in YAML; its type if Python refuses to print it."""
    try:
        return _SHORT.repr(list(value) if isinstance(value, tuple) else value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return f"<{type(value).__name__}>"
