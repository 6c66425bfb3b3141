"""Results of a long measurement that survive an interruption."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Mapping

from rasa_compressed_bert.errors import CompressedBertError

_CELLS, _IDENTITY = "cells", "made_from"


class Results:
    """Cells in a JSON file, which is replaced as a whole whenever a cell is added, so that it is never half-written.

    Args:
        path: the file; if it exists, its cells are kept and new ones added.
        header: values at the beginning of a new file.
        identity: what the cells are computed from, JSON values by the names that error messages use.
        fresh: whether an existing file is replaced.

    Raises:
        CompressedBertError: if the file has another identity, or cannot be read.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, identity: Mapping[str, Any], fresh: bool = False):
        self._path = path
        self._identity = json.loads(json.dumps(identity))  # as it is read from the file
        self.content: Dict[str, Any] = {**header, _IDENTITY: self._identity, _CELLS: []}
        if path.exists() and not fresh:
            self.content = self._read()

    def __len__(self) -> int:
        return len(self.content[_CELLS])

    def __contains__(self, values: Mapping[str, Any]) -> bool:
        """Whether a cell has all of these values; it may have others too."""
        return any(values.items() <= cell.items() for cell in self.content[_CELLS])

    def add(self, cell: Mapping[str, Any]) -> None:
        """Adds a cell."""
        self.content[_CELLS].append(dict(cell))
        self._write()

    def update(self, **values: Any) -> None:
        """Sets values that belong to all cells."""
        self.content.update(values)
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(f"{self._path.name}.new")
        new.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        os.replace(str(new), str(self._path))

    def _read(self) -> Dict[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            found = content.get(_IDENTITY, {})
            different = [name for name, value in self._identity.items() if found.get(name) != value]
            if not different and not all(isinstance(cell, dict) for cell in content[_CELLS]):
                raise ValueError("its cells are not objects")
        except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            raise CompressedBertError(f"'{self._path}' cannot be read ({error}); start over with --fresh.") from error
        if different:
            raise CompressedBertError(
                f"'{self._path}' is from a run that differs in {' and '.join(different)}: choose another --out, or "
                "start over with --fresh."
            )
        return content
