"""Conversion of Rasa's component configurations to ours, and of our errors to ones whose messages Rasa shows."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import uuid
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Type, TypeVar

from rasa.engine.caching import Cacheable
from rasa.shared.exceptions import InvalidConfigException, RasaException

from rasa_compressed_bert.config import ComponentConfig, QuantizedBertFeaturizerConfig
from rasa_compressed_bert.data.documents import is_hidden
from rasa_compressed_bert.errors import CompressedBertError, ConfigError, DataError, WeightsError
from rasa_compressed_bert.models.head_layer import LAYERS
from rasa_compressed_bert.models.pretrained import file_sha256, may_be_trimmed, weights_digest

Config = TypeVar("Config", bound=ComponentConfig)
_LIBRARIES = (
    *("numpy", "scipy", "scikit-learn", "tensorflow-model-optimization", "transformers", "tokenizers", "safetensors"),
    *("onnx", "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "ai-edge-litert", "spacy"),
    *("tensorflow", "tensorflow-cpu", "tensorflow-cpu-aws", "tensorflow-gpu", "tensorflow-intel", "tensorflow-macos"),
    *("tensorflow-rocm", "intel-tensorflow"),
)
"""Libraries that train, export and check, by all names of their distributions; their versions may affect a model."""
_UNDER_FINETUNE = "finetuning_epoch_fraction"  # Rasa adds it to the options then
TOOLS = ("__main__.py", "benchmark", "commands", "inspection", "reporting", "search", "spacy_pipeline")
"""Source code that no model depends on, so that changing it does not invalidate Rasa's cache."""


class ComponentError(RasaException):
    """An error of this package as a `RasaException`: Rasa shows the messages of its own exceptions only."""


@contextmanager
def shown_by_rasa() -> Iterator[None]:
    """Converts our errors to `ComponentError`, so that `rasa train`, `rasa run` and `rasa shell` show the messages."""
    try:
        yield
    except CompressedBertError as error:
        raise ComponentError(str(error)) from error


def parse_config(cls: Type[Config], config: Dict[str, Any]) -> Config:
    """The options of a component.

    Raises:
        InvalidConfigException: with every problem; Rasa would hide the message of any other exception.
    """
    try:
        return cls.from_dict(config)
    except ConfigError as error:
        raise InvalidConfigException(str(error)) from error


def fingerprint(cls: Type[ComponentConfig], config: Dict[str, Any]) -> Optional[str]:
    """A digest of what Rasa's cache does not see, such as our source code and the pretrained weights.

    Under `--finetune` it is a new one each time: Rasa's key of the cache does not depend on the model that is trained
    further, so the result of another training on the same data would be taken for it.

    Rasa also calls this for a component that it restored from its cache, with the configuration of the placeholder that
    holds the cached output, and does not use the result: None then.

    Raises:
        InvalidConfigException: for options that are wrong, for missing weights and files, and for files without read
            permission, before any component is trained.
    """
    if isinstance(config.get("output"), Cacheable):
        return None
    try:
        options = parse_config(cls, config)
        require_named(options)
        further = [uuid.uuid4().hex] if config.get(_UNDER_FINETUNE) is not None else []
        return digest(environment_digest(options), *further)
    except (WeightsError, DataError) as error:
        raise InvalidConfigException(str(error)) from error
    except OSError as error:  # Rasa would show a traceback
        raise InvalidConfigException(
            f"A file or folder that the options of {cls.component()} name cannot be read: {error}."
        ) from error


def require_named(options: ComponentConfig) -> None:
    """Checks that the files and folders that options name exist, before anything is trained.

    Raises:
        DataError: with the first one that does not.
    """
    for option, path in options.named_paths():
        if not os.path.exists(os.path.expanduser(path)):
            raise DataError(f"{option}: there is no file or folder '{path}'.")


def environment_digest(options: ComponentConfig) -> str:
    """A digest of what training depends on besides options and data: source, libraries, heads, files that options name.

    Raises:
        WeightsError: if pretrained weights are missing.
    """
    registered = map(repr, LAYERS)  # includes heads of other packages, whose source code is not part of the digest
    return digest(_source_digest(), *map(_version, _LIBRARIES), *registered, *named_content(options))


def named_content(options: ComponentConfig) -> List[str]:
    """Digests of what options only name: pretrained weights, files and folders.

    Raises:
        WeightsError: if pretrained weights are missing.
    """
    weights = options.weights_to_start_from
    files = [_file_digest(Path(os.path.expanduser(name))) for name in options.files_to_read()]
    return [weights_digest(weights) if weights else "", *files]


def digest(*parts: str) -> str:
    """A digest of texts, which depends on their order."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def compression_key(options: QuantizedBertFeaturizerConfig, messages: Sequence[Sequence[str]]) -> str:
    """A digest of all that compressed weights depend on: of messages only if a vocabulary or ranges come from them."""
    depends_on_texts = may_be_trimmed(options.vocabulary, options.model_weights)
    texts = messages if depends_on_texts or options.quantization.method == "static_int8" else []
    return digest(environment_digest(options), json.dumps(options.compression(), sort_keys=True), json.dumps(texts))


@functools.lru_cache(maxsize=None)
def _source_digest() -> str:
    package = Path(__file__).parent.parent
    files = sorted(path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in TOOLS)
    return digest(*(f"{path.relative_to(package).as_posix()} {_file_digest(path)}" for path in files))


@functools.lru_cache(maxsize=None)
def _version(package: str) -> str:
    """The name and version of a package; the name alone if it is not installed."""
    try:
        return f"{package} {metadata.version(package)}"
    except (metadata.PackageNotFoundError, ValueError):  # ValueError for an invalid package name
        return package


def _file_digest(path: Path) -> str:
    """A digest of a file, or of the visible files of a folder; else the version of the package of that name.

    Some systems write hidden files into every folder that is looked at, and no component reads them.
    """
    if path.is_dir():
        visible = (inner for inner in path.rglob("*") if not is_hidden(inner.relative_to(path)))
        inside = sorted(inner for inner in visible if inner.is_file())
        return digest(*(f"{inner.relative_to(path).as_posix()} {_file_digest(inner)}" for inner in inside))
    return file_sha256(path) if path.is_file() else _version(str(path))
