"""Common functions of the sub-commands: types of options, folders for results, and standard output."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Callable, Sequence, Tuple

from rasa_compressed_bert.errors import CompressedBertError

_MOST_SECONDS = 10**9


def list_of(number: Callable[[str], float]) -> Callable[[str], Tuple[float, ...]]:
    """The type of an option with numbers separated by commas."""

    def read(text: str) -> Tuple[float, ...]:
        try:
            return tuple(dict.fromkeys(map(number, text.split(","))))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}; numbers are separated by commas, as in 8,4,2") from error

    return read


def positive(text: str) -> int:
    """The type of an option with an integer >= 1."""
    number = natural(text)
    if number < 1:
        raise ValueError(text)
    return number


def natural(text: str) -> int:
    """The type of an option with an integer >= 0."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def seconds(text: str) -> int:
    """The type of an option with a time limit of at most 30 years; Python's clocks fail with far longer ones."""
    number = positive(text)
    if number > _MOST_SECONDS:
        raise ValueError(text)
    return number


def not_negative(text: str) -> float:
    """The type of an option with a finite number >= 0."""
    number = float(text)
    if not 0.0 <= number < float("inf"):
        raise ValueError(text)
    return number


def not_empty(text: str) -> str:
    """The type of an option with a path or an address; an unset variable of the shell would be an empty one."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty: name a file or an address, or leave the option out")
    return text


def make_folder(folder: Path, *, files: Sequence[str] = ()) -> None:
    """Makes a folder for results if it does not exist, to be called before a long computation.

    Args:
        folder: the folder.
        files: names of the files that will be written.

    Raises:
        CompressedBertError: if it cannot be made or written to, or if a file in it cannot be replaced.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompressedBertError(f"--out: the folder '{folder}' cannot be created: {error.strerror}.") from error
    if not os.access(str(folder), os.W_OK | os.X_OK):
        raise CompressedBertError(f"--out: the folder '{folder}' cannot be written to.")
    for file in (folder / name for name in files):
        leads_nowhere = file.is_symlink() and not Path(os.path.realpath(file)).parent.is_dir()
        if leads_nowhere or file.is_dir() or (file.exists() and not os.access(str(file), os.W_OK)):
            raise CompressedBertError(f"--out: the file '{file}' cannot be written to.")


def make_folder_of(file: Path, *, inputs: Sequence[Path] = ()) -> None:
    """Makes the folder of a file for results, as `make_folder` does.

    Args:
        file: the file.
        inputs: the files that the command reads.

    Raises:
        CompressedBertError: if it cannot be made, if the file is a folder or one of those that the command reads, or if
            it exists and cannot be replaced.
    """
    if file.is_dir():
        raise CompressedBertError(f"--out: '{file}' is a folder; name a file.")
    if file.exists() and any(path.exists() and path.samefile(file) for path in inputs):
        raise CompressedBertError(f"--out: this command reads '{file}', and would replace it; name another file.")
    make_folder(file.parent, files=[file.name])


def write(text: str) -> None:
    """Writes to standard output, and flushes it."""
    sys.stdout.write(text)
    sys.stdout.flush()
