"""Checks that pretrained weights refer to no other files of this machine, whose content would get into the model.

The settings of a tokenizer may name any file as the vocabulary, which transformers then reads instead of that beside
them, and a file of the folder may be a link to any file. In HDF5, values may be stored in any other file ("external
storage", external links, virtual datasets).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Iterator, List

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models.own_limits import require_limited_tensors

_NOT_READ = ("name_or_path", "special_tokens_map_file")  # where a tokenizer came from
_WEIGHTS = (".safetensors", ".h5", ".bin")
_NAMED = "weight_names"  # attributes of layers in HDF5 files
_BLOBS, _DIGEST = "blobs", re.compile(r"[0-9a-f]{32,}(-\d+)?")  # folder and names of files in the hub client's cache


def require_own_links(folder: Path) -> None:
    """Refuses a folder of weights in which a file of the configuration or of the tokenizer is a link to one elsewhere.

    The files of the weights may be links, as other files cannot be read as weights. So may files of the cache of the
    hub's client: each of its versions of a model consists of such links, and versions before 0.23 also downloaded
    large files into other folders as such links.

    Raises:
        WeightsError: if there is such a link; the message names the first one.
    """
    own = folder.resolve()
    for path in sorted(folder.iterdir()):
        if path.suffix in _WEIGHTS or not path.is_symlink() or path.is_dir():
            continue
        target = Path(os.path.realpath(path))  # unlike Path.resolve, accepts links that lead in a circle
        if own not in target.parents and not _is_cached(target):
            raise WeightsError(
                f"model_weights: '{path}' is a link to a file outside of its folder. Copy the file into the folder, if "
                "you trust these weights."
            )


def _is_cached(file: Path) -> bool:
    """Whether a file is named by the digest of its content, so that only who knows the content can link to it."""
    return file.parent.name == _BLOBS and _DIGEST.fullmatch(file.name) is not None


def require_own_vocabulary(settings: Any, name: str, *, file: str) -> None:
    """Refuses a tokenizer that refers to files outside of its folder.

    Args:
        settings: the settings of the tokenizer, as parsed from JSON.
        name: the name of the weights.
        file: the name of the file that contains the settings.

    Raises:
        WeightsError: if such a file exists; the message names the first one.
    """
    own = {key: settings[key] for key in settings if key not in _NOT_READ} if isinstance(settings, dict) else settings
    folder = Path(os.path.abspath(name))
    for text in _texts(own):
        path = Path(text)
        beside = Path(os.path.abspath(folder / text))  # transformers resolves some paths against the folder
        is_elsewhere = _is_file(path) and path.resolve().parent != folder.resolve()
        if is_elsewhere or (not path.is_absolute() and _is_file(beside) and folder not in beside.parents):
            raise WeightsError(
                f"The tokenizer of model_weights '{name}' reads a file outside of its folder, '{text}'. Remove "
                f"that entry from {file}, if you trust these weights."
            )


def require_own_values(path: Path, name: str) -> None:
    """Refuses an HDF5 file of weights whose values are stored in other files, or take very much memory.

    Args:
        path: the file.
        name: the name of the weights.

    Raises:
        WeightsError: if there is such a value, or if all are too large.
    """
    import h5py

    def is_elsewhere(item: Any) -> bool:
        if isinstance(item, h5py.Group):
            return any(isinstance(item.get(key, getlink=True), h5py.ExternalLink) for key in item)
        return isinstance(item, h5py.Dataset) and (item.external is not None or item.is_virtual)

    with h5py.File(path, "r") as file:
        if is_elsewhere(file) or file.visititems(lambda _, item: is_elsewhere(item) or None):
            raise WeightsError(
                f"The weights in '{path.name}' of model_weights '{name}' take values from other files, which no "
                "weights need, so they were not read."
            )
        groups: List[Any] = []
        file.visititems(lambda _, item: groups.append(item) if isinstance(item, h5py.Group) else None)
        require_limited_tensors(sum(map(_size_in_memory, groups)), file=path.name)


def _size_in_memory(group: Any) -> int:
    """The size in bytes of the tensors that a layer of an HDF5 file names; long lists have several attributes."""
    lists = [group.attrs[name] for name in group.attrs if name.startswith(_NAMED)]
    return sum(int(group[name].nbytes) for names in lists for name in names)


def _texts(value: Any) -> Iterator[str]:
    """All strings within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text that is too long for a file name
        return False
