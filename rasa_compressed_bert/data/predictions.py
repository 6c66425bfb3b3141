"""Predictions of an external teacher: a CSV file of probabilities.

text,affirm,greet
hello,0.02,0.98
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

import numpy as np

from rasa_compressed_bert.data.warnings import quoted
from rasa_compressed_bert.errors import DataError

_TEXT = "text"
_TOLERANCE = 0.01  # for sums of rounded probabilities


def read_predictions(path: Path, labels: Sequence[str]) -> Dict[str, np.ndarray]:
    """Probabilities `(C,)` in the order of `labels`, by text, normalised to the sum 1.

    Raises:
        DataError: if the file cannot be read, has other labels, or has rows that are not probabilities.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # Excel writes a byte order mark
            return _read(path, csv.reader(file), labels)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"teacher.predictions: '{path}' cannot be read: {error}") from error


def _read(path: Path, rows: Iterator[List[str]], labels: Sequence[str]) -> Dict[str, np.ndarray]:
    """See `read_predictions`; row by row, as numbers take eight times as much memory while they are texts."""
    header = next(rows, [])
    if _TEXT not in header:
        raise DataError(
            f"teacher.predictions: '{path}' has no column named '{_TEXT}'; its first line names the columns."
        )
    columns = [name for name in header if name != _TEXT]
    missing, unknown = sorted(set(labels) - set(columns)), sorted(set(columns) - set(labels))
    if missing or unknown or len(columns) != len(labels):
        raise DataError(
            f"teacher.predictions: the columns of '{path}' are not the intents of the training data. Missing: "
            f"{missing or 'none'}; unknown: {unknown or 'none'}; there must be one column for each intent."
        )
    order = [header.index(label) for label in labels]
    text_column, found = header.index(_TEXT), {}
    for number, row in enumerate(rows, start=2):
        if row:
            found[row[text_column] if len(row) > text_column else ""] = _probabilities(path, number, row, header, order)
    return found


def require_all(predictions: Dict[str, np.ndarray], texts: Sequence[str], path: Path) -> None:
    """Checks that there are predictions for all messages of the training data.

    Raises:
        DataError: with the number of missing messages, and the first ones.
    """
    missing: List[str] = [text for text in texts if text not in predictions]
    if missing:
        examples = ", ".join(map(quoted, missing[:3]))
        raise DataError(
            f"teacher.predictions: '{path}' has no row for {len(missing)} of {len(texts)} training messages, such as "
            f"{examples}."
        )


def _probabilities(path: Path, number: int, row: Sequence[str], header: Sequence[str], order: List[int]) -> np.ndarray:
    if len(row) != len(header):
        raise DataError(
            f"teacher.predictions: line {number} of '{path}' has {len(row)} columns instead of {len(header)}."
        )
    try:
        values = np.array([float(row[index]) for index in order])
    except ValueError as error:
        raise DataError(f"teacher.predictions: line {number} of '{path}': {error}.") from error
    total = values.sum()
    if not (values >= 0).all() or abs(total - 1.0) > _TOLERANCE:  # the negation includes NaN
        raise DataError(
            f"teacher.predictions: the probabilities in line {number} of '{path}' sum to {total:g} (smallest "
            f"{values.min():g}); they must be at least 0 and sum to 1."
        )
    return values / total
