"""What a model whose parts do not fit each other leads to."""

from __future__ import annotations

import contextlib
from typing import Iterator

from rasa_compressed_bert.errors import ArtifactError, CompressedBertError

PROBE = "hello ⠿"
"""What a model is asked when it is loaded, with a word that no vocabulary has: a model that cannot answer is refused
there, not at a user's first message."""
_PANIC = "PanicException"  # of libraries in Rust; it is no Exception


@contextlib.contextmanager
def as_artifact_error() -> Iterator[None]:
    """Around opening a model and asking it once.

    The digests of an artifact show that its files are those that were written; this shows that they are a model.

    Raises:
        ArtifactError: in the place of whatever a manifest, a tokenizer or a graph that fits no model raises.
    """
    try:
        yield
    except (CompressedBertError, MemoryError, ImportError, OSError):  # of the machine, not of the model
        raise
    except BaseException as error:  # a file may be wrong in any way
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        raise ArtifactError(
            f"The parts of the model do not fit each other ({type(error).__name__}: {error}). Train it again."
        ) from error
