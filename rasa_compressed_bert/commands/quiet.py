"""Silences the log messages and warnings of libraries in the commands."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from typing import Any, Iterator, Optional, Type

_ENVIRONMENT = {"RASA_TELEMETRY_ENABLED": "false", "SQLALCHEMY_SILENCE_UBER_WARNING": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
_LOGGERS = ("matplotlib", "spacy", "tensorflow")
_FOR_DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning)


def silence_libraries() -> None:
    """Silences TensorFlow, Rasa's dependencies and Matplotlib, except for errors; call it before they are imported.

    Filters of Python's `warnings` are not sufficient, as Rasa's dependencies reset them. Warnings for users, such as
    those about training data, are still shown.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.showwarning = _show_to_users


@contextlib.contextmanager
def training_shown() -> Iterator[None]:
    """Shows the stages of a training that a command runs, unless only errors are shown."""
    logger = logging.getLogger("rasa_compressed_bert.training.progress")
    before = logger.level
    if logger.isEnabledFor(logging.WARNING):
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)


def _show_to_users(
    message: Any, category: Type[Warning], filename: str, lineno: int, file: Any = None, line: Optional[str] = None
) -> None:
    if not issubclass(category, _FOR_DEVELOPERS):
        (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))
