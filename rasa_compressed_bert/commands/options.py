"""What the sub-commands share: readers of options, and standard output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Tuple

from rasa_compressed_bert.errors import CompressedBertError


def list_of(number: Callable[[str], float]) -> Callable[[str], Tuple[float, ...]]:
    """A reader of numbers with commas between them."""

    def read(text: str) -> Tuple[float, ...]:
        try:
            return tuple(dict.fromkeys(map(number, text.split(","))))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}; numbers are separated by commas, as in 8,4,2") from error

    return read


def positive(text: str) -> int:
    """A reader of whole numbers from 1."""
    number = natural(text)
    if number < 1:
        raise ValueError(text)
    return number


def natural(text: str) -> int:
    """A reader of whole numbers from 0."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def make_folder(folder: Path) -> None:
    """Makes a folder for results, if it is not there, before anything is worked for.

    Raises:
        CompressedBertError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompressedBertError(f"--out: the folder cannot be made: {error}") from error


def write(text: str) -> None:
    """Writes to standard output at once."""
    sys.stdout.write(text)
    sys.stdout.flush()
