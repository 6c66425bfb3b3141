"""Trained Rasa archives: finds one, unpacks it safely, and reads the artifacts in it."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import re
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any, Dict, Iterator, Set, Tuple, cast

from rasa_compressed_bert.artifact.artifact import (
    LARGEST_DESCRIPTION,
    LARGEST_FILE,
    MANIFEST,
    MANIFEST_DIGEST,
    Artifact,
    read_artifact,
)
from rasa_compressed_bert.errors import ArtifactError, CompressedBertError

_MOST_MEMBERS = 10_000
"""The largest number of files and folders of an archive, as each takes time to create; a bot has some hundred."""
_DEEPEST = 30
"""The largest depth of nested folders; a trained bot has about five."""
_LARGEST_HEADER = 2**14
"""The largest number of bytes between the contents of two members: headers, and what tarfile reads ahead.

tarfile keeps headers in memory, several times, and in Python before 3.10.15 takes quadratic time for some.
"""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_COMPONENTS, _METADATA = "components", "metadata.json"  # as in rasa.engine.storage.local_model_storage


def archive_path(model: Path) -> Path:
    """The archive that `model` refers to: itself, or the newest archive in a folder.

    Raises:
        CompressedBertError: if there is none.
    """
    if model.is_dir():
        archives = sorted(model.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
        if not archives:
            raise CompressedBertError(f"'{model}' holds no trained model (*.tar.gz). Train one with `rasa train`.")
        return archives[-1]
    if not model.is_file():
        raise CompressedBertError(f"There is no model '{model}'.")
    return model


def is_artifact(folder: Path) -> bool:
    """Whether a folder is one of our artifacts, even a damaged one."""
    return (folder / MANIFEST).is_file() and (folder / MANIFEST_DIGEST).exists()


@contextlib.contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """Unpacks an archive into a temporary folder.

    Raises:
        CompressedBertError: if it is not an archive, if a member is not a plain file or folder below that folder, or if
            the members exceed the limits on size, number or depth.
    """
    with tempfile.TemporaryDirectory(prefix="rasa_compressed_bert_") as name:
        folder = Path(name).resolve()
        try:
            with gzip.open(archive) as stream:
                bounded = _Bounded(stream, archive)
                with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r|") as tar:  # it only calls `read`
                    parents: Set[PurePosixPath] = set()
                    for number, member in enumerate(tar):
                        _require_inside(member, folder, archive=archive)
                        parents.update(PurePosixPath(member.name).parents)
                        if number == _MOST_MEMBERS or len(parents) > _MOST_MEMBERS:
                            raise CompressedBertError(
                                f"'{archive}' has more than {_MOST_MEMBERS} files, so it was not unpacked."
                            )
                        bounded.expect(member.size if member.isfile() else 0)
                        if member.isfile():
                            _write(tar, member, folder=folder)
        except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError, RecursionError) as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                raise CompressedBertError(
                    f"'{archive}' cannot be unpacked, as '{folder.parent}' is full. Make space, or set TMPDIR to "
                    "another folder."
                ) from error
            raise CompressedBertError(f"'{archive}' is not a readable Rasa model: {error}") from error
        yield folder


def metadata(folder: Path) -> Dict[str, Any]:
    """Reads Rasa's metadata of the model in an unpacked archive.

    Raises:
        CompressedBertError: if there is none.
    """
    try:
        if (folder / _METADATA).stat().st_size > LARGEST_DESCRIPTION:
            raise CompressedBertError(f"This is not a trained Rasa model: {_METADATA} is too large.")
        values = json.loads((folder / _METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CompressedBertError(f"This is not a trained Rasa model: {_METADATA} cannot be read ({error}).") from error
    if not isinstance(values, dict):
        raise CompressedBertError(f"This is not a trained Rasa model: {_METADATA} is not a JSON object.")
    return values


def artifacts_in(folder: Path) -> Dict[str, Artifact]:
    """Reads the artifacts of our components in an unpacked archive, by Rasa's names of their nodes, in their order.

    Raises:
        ArtifactError: if a file of one of them is missing or damaged.
    """
    parts = sorted((path for path in (folder / _COMPONENTS).glob("*") if is_artifact(path)), key=_order)
    found: Dict[str, Artifact] = {}
    for path in parts:
        try:
            found[path.name] = read_artifact(path)
        except ArtifactError as error:
            raise ArtifactError(f"Component '{path.name}': {error}") from error
    return found


def _order(component: Path) -> Tuple[int, str]:
    """The position in the pipeline, with which Rasa's names of nodes end, and the name."""
    number = re.search(r"[0-9]+$", component.name)
    return int(number.group()) if number else -1, component.name


def artifacts_of(model: Path) -> Dict[str, Artifact]:
    """Reads the artifacts of our components in an archive, in the newest archive of a folder, or in an artifact folder.

    Raises:
        CompressedBertError: if there is no model, or if a file of it is missing or damaged.
    """
    if is_artifact(model):
        return {model.name: read_artifact(model)}
    with unpacked(archive_path(model)) as folder:
        return artifacts_in(folder)


def last_with(model: Path, entry: str, *, component: str) -> Artifact:
    """The artifact with an entry in its manifest; if there are several, that of the last component.

    Args:
        model: see `artifacts_of`.
        entry: the key of the manifest.
        component: the class that trains such artifacts, for the error message.

    Raises:
        CompressedBertError: if there is none.
    """
    found = [artifact for artifact in artifacts_of(model).values() if artifact.files and entry in artifact.manifest]
    if not found:
        raise CompressedBertError(f"'{model}' holds no trained {component}.")
    return found[-1]


def require_nlu(archive: Path) -> None:
    """Refuses an archive that cannot parse messages.

    Raises:
        CompressedBertError: if it is not an archive, or was trained by `rasa train core`.
    """
    with unpacked(archive) as folder:
        if metadata(folder).get("nlu_target") is None:
            raise CompressedBertError(f"'{archive}' has no NLU model: it was trained with `rasa train core`.")


class _Bounded:
    """Reads a limited number of bytes from a stream, as a small archive, or one header of it, may unpack to any size.

    Args:
        stream: the stream of decompressed bytes.
        archive: the path of the archive, for the error message.
    """

    def __init__(self, stream: gzip.GzipFile, archive: Path):
        self._stream, self._archive, self._left = stream, archive, LARGEST_FILE
        self.expect(0)

    def expect(self, size: int) -> None:
        """Allows to read the content of a member, of which `size` bytes are in the archive, and the next header."""
        self._left_of_member = size + _LARGEST_HEADER

    def read(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            CompressedBertError: if a limit is exceeded.
        """
        data = self._stream.read(size)
        self._left -= len(data)
        self._left_of_member -= len(data)
        if self._left < 0:
            raise CompressedBertError(
                f"'{self._archive}' has more than {LARGEST_FILE} bytes of files, so it was not unpacked."
            )
        if self._left_of_member < 0:
            raise CompressedBertError(
                f"'{self._archive}' is not a readable Rasa model: the header of a file has more than {_LARGEST_HEADER} "
                "bytes."
            )
        return data


def _require_inside(member: tarfile.TarInfo, folder: Path, *, archive: Path) -> None:
    """Refuses a member outside of the folder or nested too deeply; the root of Rasa's own archives is named '/'."""
    if len(PurePosixPath(member.name).parts) > _DEEPEST:
        raise CompressedBertError(f"'{archive}' has more than {_DEEPEST} nested folders, so it was not unpacked.")
    target = (folder / member.name.lstrip("/")).resolve()
    plain = (member.isfile() or member.isdir()) and member.size >= 0 and not member.issparse()
    absolute = member.name.startswith("/") and member.name != "/"
    if not plain or absolute or (target != folder and folder not in target.parents):
        raise CompressedBertError(
            f"'{archive}' is not safe to unpack: its member '{member.name}' would be written outside of its folder."
        )


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, *, folder: Path) -> None:
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    if source is not None:
        with source, target.open("wb") as file:
            for block in iter(lambda: source.read(1 << 20), b""):
                file.write(block)
