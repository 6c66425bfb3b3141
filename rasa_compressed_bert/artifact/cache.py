"""A cache of artifacts in a folder, by digests of all that they depend on."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Callable

from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact, write_artifact
from rasa_compressed_bert.errors import ArtifactError

logger = logging.getLogger(__name__)
_BY_OTHERS = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT)  # another process writes or removes the same artifact


def cached(folder: Path, key: str, make: Callable[[], Artifact], *, most: float) -> Artifact:
    """The artifact of a key: read if it is in the cache and intact, else made and written.

    The least recently used artifacts are removed. If the folder cannot be written, the next training only takes longer.
    Several processes may use the same folder.

    Args:
        folder: the folder of the cache, created if necessary.
        key: a digest of everything that the artifact depends on.
        make: makes the artifact.
        most: the largest size of the cache in bytes; the newest artifact is kept even if it is larger.
    """
    with contextlib.suppress(ArtifactError):
        artifact = read_artifact(folder / key)
        with contextlib.suppress(OSError):  # if the folder is read-only, or removed by now
            os.utime(str(folder / key))
        return artifact
    artifact = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=str(folder)) as name:
            write_artifact(artifact, Path(name) / key)
            shutil.rmtree(str(folder / key), ignore_errors=True)  # one that could not be read
            (Path(name) / key).rename(folder / key)
        _forget(folder, most)
    except OSError as error:
        if error.errno not in _BY_OTHERS:
            logger.warning(f"The compressed weights cannot be cached in '{folder}' for the next training: {error}")
    return artifact


def _forget(folder: Path, most: float) -> None:
    """Removes the oldest folders, also those of interrupted writes; stray files, as some systems create, are kept."""
    folders = [path for path in folder.iterdir() if path.is_dir()]
    newest_first = sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)
    sizes = [sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in newest_first]
    for path, size in list(zip(newest_first, itertools.accumulate(sizes)))[1:]:
        if size > most:
            shutil.rmtree(str(path), ignore_errors=True)
