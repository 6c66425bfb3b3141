"""Turns the errors of a model whose parts do not fit each other into an `ArtifactError`."""

from __future__ import annotations

import contextlib
from typing import Iterator

from rasa_compressed_bert.errors import ArtifactError, CompressedBertError

PROBE = "hello ⠿"
"""The message with which a loaded model is tested, so that it fails at once and not at a user's first message.

Its second word is in no vocabulary."""
_PANIC = "PanicException"  # of libraries in Rust; not a subclass of Exception


@contextlib.contextmanager
def as_artifact_error() -> Iterator[None]:
    """Wraps opening a model and running it once.

    The digests of an artifact show that its files are unchanged; opening and running it shows that they form a model.

    Raises:
        ArtifactError: instead of any error that an invalid manifest, tokenizer or graph leads to.
    """
    try:
        yield
    except (CompressedBertError, MemoryError, ImportError, OSError):  # errors of the machine, not of the model
        raise
    except BaseException as error:  # an invalid file may raise anything
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        raise ArtifactError(
            f"The parts of the model do not fit each other ({type(error).__name__}: {error}). Train it again."
        ) from error
