"""Artifacts in Rasa's model storage."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Optional

from rasa.engine import caching
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage

from rasa_compressed_bert.artifact import cache
from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact, write_artifact
from rasa_compressed_bert.errors import ArtifactError

_SHARE = 0.5  # of the size limit of Rasa's cache
_UNTRAINED = Artifact({"kind": "untrained"}, {})  # saved explicitly when there was nothing to train on


def save(artifact: Optional[Artifact], storage: ModelStorage, resource: Resource) -> None:
    """Writes an artifact, or a marker that there was nothing to train on.

    Raises:
        ArtifactError: if it cannot be written, such as on a full disk.
    """
    try:
        with storage.write_to(resource) as folder:
            write_artifact(artifact or _UNTRAINED, folder)
    except OSError as error:
        raise ArtifactError(f"The model cannot be written: {error}. Nothing was saved.") from error


def load(storage: ModelStorage, resource: Resource) -> Optional[Artifact]:
    """Reads what `save` wrote.

    Raises:
        ArtifactError: if it is missing or damaged; it is never taken for an untrained model then.
    """
    try:
        with storage.read_from(resource) as folder:
            artifact = read_artifact(folder)
    except ValueError as error:  # what Rasa raises for a resource that is not there
        raise ArtifactError(f"The model has no folder '{resource.name}': {error}. Train it again.") from error
    return None if artifact.manifest.get("kind") == _UNTRAINED.manifest["kind"] else artifact


def cached(key: str, make: Callable[[], Artifact]) -> Artifact:
    """Makes an artifact, or reads the one that was made for the same key before, if Rasa's training cache is enabled.

    It is stored in a folder of that cache. Rasa counts the folder towards its size limit and evicts its own entries to
    stay within it, so the size of the folder is bounded.
    """
    size_mb = float(os.environ.get(caching.CACHE_SIZE_ENV, caching.DEFAULT_CACHE_SIZE_MB))
    if size_mb == 0:
        return make()
    folder = Path(os.environ.get(caching.CACHE_LOCATION_ENV, caching.DEFAULT_CACHE_LOCATION))
    return cache.cached(folder / "rasa_compressed_bert", key, make, most=_SHARE * size_mb * 1024**2)
