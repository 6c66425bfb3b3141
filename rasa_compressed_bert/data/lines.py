"""Text files with one message per line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

from rasa_compressed_bert.errors import DataError


def read_lines(path: str, *, option: str) -> List[str]:
    """The distinct lines of a file, without blank ones and surrounding whitespace.

    Args:
        path: path of the file, in UTF-8.
        option: name of the option with the path, for the error.

    Raises:
        DataError: if it cannot be read, or has none.
    """
    try:
        # editors on Windows write a byte order mark, and their line ends are read as \n
        lines = Path(os.path.expanduser(path)).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{option}: '{path}' cannot be read: {error}") from error
    found = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not found:
        raise DataError(f"{option}: '{path}' has no message; write one per line, or leave the option out.")
    return found
