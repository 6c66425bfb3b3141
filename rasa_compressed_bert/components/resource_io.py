"""Artifacts in Rasa's model storage."""

from __future__ import annotations

from typing import Optional

from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage

from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact, write_artifact
from rasa_compressed_bert.errors import ArtifactError

_UNTRAINED = Artifact({"kind": "untrained"}, {})  # a model without training data is saved as such, never left out


def save(artifact: Optional[Artifact], storage: ModelStorage, resource: Resource) -> None:
    """Writes an artifact, or the note that there was nothing to train on."""
    with storage.write_to(resource) as folder:
        write_artifact(artifact or _UNTRAINED, folder)


def load(storage: ModelStorage, resource: Resource) -> Optional[Artifact]:
    """Reads what `save` wrote.

    Raises:
        ArtifactError: if it is missing or damaged; that never passes for an untrained model.
    """
    try:
        with storage.read_from(resource) as folder:
            artifact = read_artifact(folder)
    except ValueError as error:  # what Rasa raises for a resource that is not there
        raise ArtifactError(f"The model has no folder '{resource.name}': {error}. Train it again.") from error
    return None if artifact.manifest["kind"] == _UNTRAINED.manifest["kind"] else artifact
