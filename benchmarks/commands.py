"""Command lines of the scripts: data sets as options, and the command as it is published."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Tuple


def named_folder(text: str) -> Tuple[str, Path]:
    """`NAME=DIR`, or a folder with its own name."""
    name, found, path = text.partition("=")
    return (name, Path(path)) if found else (Path(text).name, Path(text))


def command_line(module: str) -> str:
    """This process's command, with folders outside of this project as DATA."""
    words = []
    for word in sys.argv[1:]:
        name, found, path = word.rpartition("=")
        absolute = Path(path).is_absolute()
        words.append(f"{name}{found}DATA/{Path(path).name}" if absolute else word)
    return " ".join([f"python -m {module}", *words])
