"""The artifact: a folder with everything that serving needs, and nothing that can run code.

    manifest.json         what the model is, how it was made, and the sha256 of every other file
    manifest.sha256       of the manifest itself
    tokenizer.json        the `tokenizers` library's serialisation
    model.onnx            the serving graph, without weights (or model.pb; or model.tflite, which contains weights)
    weights.safetensors   the weights: quantized, pruned ones sparse, clustered ones as code book and indices
    views.safetensors     the fitted views of a message, see `views`; not every model has them
    spacy.msgpack         the bytes of a spaCy pipeline, instead of tokenizer, graph and weights
    documents.json        documents that are searched for answers, and the terms of their index; answer extractors only
    passages.safetensors  the index of their passages

All files are read into memory and checked at once; a missing, truncated or altered file is an error that names it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from rasa_compressed_bert import __version__
from rasa_compressed_bert.errors import ArtifactError

FORMAT_VERSION = 5
READABLE_VERSIONS = (2, 3, 4, 5)
"""In version 4, confidences of entities had a temperature; in version 3, a wordpiece was tagged from its own hidden
state only; version 2 had neither views of a message nor the names of a graph's outputs."""
MANIFEST, MANIFEST_DIGEST = "manifest.json", "manifest.sha256"
TOKENIZER, GRAPH, WEIGHTS = "tokenizer.json", "model.onnx", "weights.safetensors"
TFLITE_MODEL, TENSORFLOW_GRAPH = "model.tflite", "model.pb"  # instead of GRAPH, for other runtimes
SPACY_MODEL = "spacy.msgpack"
VIEWS = "views.safetensors"
DOCUMENTS, PASSAGES = "documents.json", "passages.safetensors"
LARGEST_FILE = 4 * 2**30
"""The largest file in bytes that is read into memory; BERT-large in 32-bit floats has a third of it."""
LONGEST_MESSAGE = 512
"""The largest number of wordpieces of a message: memory and time of attention are quadratic in it."""
LARGEST_DESCRIPTION = 2**26
"""The largest JSON file about a model, in bytes; in memory it takes twenty times as many."""
INTENT_CLASSIFIER, ENTITY_EXTRACTOR, JOINT_CLASSIFIER = "intent_classifier", "entity_extractor", "joint_classifier"
"""Kinds of artifacts that classify a text or extract its entities, or both."""
ANSWER_EXTRACTOR = "answer_extractor"
"""The kind of artifacts that answer questions from documents."""
_PACKAGE = "rasa_compressed_bert"
_LARGEST_DIGEST = 1024  # bytes; ours have 64
_LARGEST = {TOKENIZER: LARGEST_DESCRIPTION, DOCUMENTS: 2**29, GRAPH: 2**22, TENSORFLOW_GRAPH: LARGEST_DESCRIPTION}
"""The largest size, in bytes, of files that take many times as much memory, or long to check.

The graph of a BERT of 48 layers has 0.15 MB; ten million bytes of documents have at most 300 million with their terms.
"""
FILES = (TOKENIZER, GRAPH, TFLITE_MODEL, TENSORFLOW_GRAPH, WEIGHTS, SPACY_MODEL, VIEWS, DOCUMENTS, PASSAGES)


@dataclass(frozen=True)
class Artifact:
    """A trained model in memory.

    Attributes:
        manifest: the description of the model; JSON values.
        files: the content of those of `FILES` that its runtime needs; empty for a model without training data.
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def max_length(self) -> int:
        """The number of wordpieces of a message that are read, or of words by a model of spaCy.

        Raises:
            ArtifactError: if it is not an integer from 1 to `LONGEST_MESSAGE`.
        """
        length = self.manifest["max_length"]
        if not isinstance(length, int) or not 1 <= length <= LONGEST_MESSAGE:
            raise ArtifactError(
                f"The model reads messages of up to {length!r} wordpieces, which is not an integer from 1 to "
                f"{LONGEST_MESSAGE}: it is damaged. Train it again."
            )
        return length

    @property
    def size(self) -> int:
        """The size in bytes of all files except the manifest."""
        return sum(map(len, self.files.values()))

    @property
    def archived_size(self) -> int:
        """The size in bytes of the same files in a compressed archive, such as Rasa's."""
        return sum(len(zlib.compress(data)) for data in self.files.values())

    @property
    def digest(self) -> str:
        """The sha256 of the names and the contents of all files except the manifest."""
        return _digest(b"".join(part for name in sorted(self.files) for part in (name.encode(), self.files[name])))


def write_artifact(artifact: Artifact, folder: Path) -> None:
    """Writes the files, and the manifest last, so that a folder without a manifest is incomplete."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format_version": FORMAT_VERSION,
        **artifact.manifest,
        "written_by": __version__,
        "files": {name: {"sha256": _digest(data), "bytes": len(data)} for name, data in artifact.files.items()},
    }
    for name, data in artifact.files.items():
        (folder / name).write_bytes(data)
    text = json.dumps(manifest, indent=1, ensure_ascii=True).encode("ascii")
    (folder / MANIFEST_DIGEST).write_text(_digest(text))
    (folder / MANIFEST).write_bytes(text)


def read_artifact(folder: Path) -> Artifact:
    """Reads an artifact from a folder, and checks it.

    Raises:
        ArtifactError: if a file, which the message names, is missing, truncated or altered, or if the format version is
            not supported.
    """
    text = _read(folder, MANIFEST, most=LARGEST_DESCRIPTION)
    if _digest(text) != _read(folder, MANIFEST_DIGEST, most=_LARGEST_DIGEST).decode("ascii", "replace"):
        raise ArtifactError(
            f"'{MANIFEST}' in '{folder}' was altered: its sha256 is not the one in '{MANIFEST_DIGEST}'."
        )
    try:
        manifest = json.loads(text)
        version = manifest.get("format_version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"'{MANIFEST}' in '{folder}' is not a JSON object: {error}") from error
    if version not in READABLE_VERSIONS:
        raise ArtifactError(_other_version(version, written_by=manifest.get("written_by"), folder=folder))
    try:
        expected = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"'{MANIFEST}' in '{folder}' does not list the files of the model.") from error
    files: Dict[str, bytes] = {}
    for name in FILES:
        if name not in expected:  # a file of another runtime, or a model without training data
            continue
        size, digest = expected[name]
        files[name] = _read(folder, name, most=_LARGEST.get(name))
        if len(files[name]) != size:
            raise ArtifactError(f"'{name}' in '{folder}' has {len(files[name])} bytes instead of {size}.")
        if _digest(files[name]) != digest:
            raise ArtifactError(f"'{name}' in '{folder}' was altered: its sha256 is not the one in '{MANIFEST}'.")
    return Artifact(manifest, files)


def _other_version(version: Any, *, written_by: Any, folder: Path) -> str:
    """The error message for a model whose format version this release does not read."""
    writer = f" by {_PACKAGE} {written_by}" if written_by else ""
    newer = f"release {written_by}" if written_by else "a newer release"
    advice = f"Install {newer}, or train" if isinstance(version, int) and version > FORMAT_VERSION else "Train"
    return (
        f"'{folder}' was written{writer} in format version {version}; {_PACKAGE} {__version__} reads versions "
        f"{', '.join(map(str, READABLE_VERSIONS))}. {advice} the model again."
    )


def _read(folder: Path, name: str, *, most: Optional[int] = None) -> bytes:
    try:
        if (folder / name).exists() and not (folder / name).is_file():  # a device or a pipe may have no end
            raise ArtifactError(f"'{name}' in '{folder}' cannot be read: it is not a file. The model is incomplete.")
        size = (folder / name).stat().st_size
        if size > min(LARGEST_FILE, most or LARGEST_FILE):
            raise ArtifactError(f"'{name}' in '{folder}' has {size} bytes, more than any model of {_PACKAGE} has.")
        return (folder / name).read_bytes()
    except OSError as error:
        raise ArtifactError(f"'{name}' in '{folder}' cannot be read: {error}. The model is incomplete.") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
