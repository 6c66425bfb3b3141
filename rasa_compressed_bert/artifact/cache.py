"""Artifacts that are the same whenever the same is asked for, kept in a folder."""

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
_BY_OTHERS = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT)  # another process makes, or forgets, the same


def cached(folder: Path, key: str, make: Callable[[], Artifact], *, most: float) -> Artifact:
    """The artifact of a key: read if it is there and whole, else made and written; those used last are kept.

    A folder that cannot be written costs time in the next training and nothing else, and several processes may use it.

    Args:
        folder: of the cache; made if need be.
        key: a digest of all that the artifact depends on.
        make: makes it.
        most: bytes that are kept, and the newest artifact if it alone is larger.
    """
    with contextlib.suppress(ArtifactError):
        artifact = read_artifact(folder / key)
        with contextlib.suppress(OSError):  # of a folder that can be read only, or forgotten by now
            os.utime(str(folder / key))
        return artifact
    artifact = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=str(folder)) as name:
            write_artifact(artifact, Path(name) / key)
            shutil.rmtree(str(folder / key), ignore_errors=True)  # what could not be read
            (Path(name) / key).rename(folder / key)
        _forget(folder, most)
    except OSError as error:
        if error.errno not in _BY_OTHERS:
            logger.warning(f"The compressed weights cannot be kept for the next training in '{folder}': {error}")
    return artifact


def _forget(folder: Path, most: float) -> None:
    """Forgets folders, those of writes that were killed among them; stray files, as some systems make, stay."""
    folders = [path for path in folder.iterdir() if path.is_dir()]
    newest_first = sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)
    sizes = [sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in newest_first]
    for path, size in list(zip(newest_first, itertools.accumulate(sizes)))[1:]:
        if size > most:
            shutil.rmtree(str(path), ignore_errors=True)
