"""Rasa's configuration of a component as ours, and our errors as ones that Rasa shows as they are."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Type, TypeVar

from rasa.engine.caching import Cacheable
from rasa.shared.exceptions import InvalidConfigException, RasaException

from rasa_compressed_bert.config import ComponentConfig, QuantizedBertFeaturizerConfig
from rasa_compressed_bert.errors import CompressedBertError, ConfigError, WeightsError
from rasa_compressed_bert.models.head_layer import LAYERS
from rasa_compressed_bert.models.pretrained import has_small_vocabulary, weights_digest

Config = TypeVar("Config", bound=ComponentConfig)
_LIBRARIES = (
    *("numpy", "scipy", "scikit-learn", "tensorflow-model-optimization", "transformers", "tokenizers", "safetensors"),
    *("onnx", "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "ai-edge-litert", "spacy"),
    *("tensorflow", "tensorflow-cpu", "tensorflow-cpu-aws", "tensorflow-intel", "tensorflow-macos", "intel-tensorflow"),
)
"""What trains, exports and checks, by all names of its distributions: another version may make another model."""
TOOLS = ("__main__.py", "benchmark", "commands", "inspection", "reporting", "search", "spacy_pipeline")
"""Source of which no model is made, so that a change of it leaves Rasa's cache as it is."""


class ComponentError(RasaException):
    """What went wrong in this package; Rasa shows its own exceptions in one line, and hides the words of any other."""


@contextmanager
def shown_by_rasa() -> Iterator[None]:
    """Turns our errors into `ComponentError`: `rasa train`, `rasa run` and `rasa shell` then show their messages."""
    try:
        yield
    except CompressedBertError as error:
        raise ComponentError(str(error)) from error


def parse_config(cls: Type[Config], config: Dict[str, Any]) -> Config:
    """The options of a component.

    Raises:
        InvalidConfigException: with every problem; any other exception would be hidden behind Rasa's own words.
    """
    try:
        return cls.from_dict(config)
    except ConfigError as error:
        raise InvalidConfigException(str(error)) from error


def fingerprint(cls: Type[ComponentConfig], config: Dict[str, Any]) -> Optional[str]:
    """What Rasa's cache cannot see: a digest of the source that trains models and of the pretrained weights.

    Rasa also asks for a component that it restored from its cache, with the configuration of the stand-in that holds
    the cached output, and does not use the answer: None then.

    Raises:
        InvalidConfigException: for options that are wrong and for missing weights, before any component is trained.
    """
    if isinstance(config.get("output"), Cacheable):
        return None
    try:
        return environment_digest(parse_config(cls, config))
    except WeightsError as error:
        raise InvalidConfigException(str(error)) from error


def environment_digest(options: ComponentConfig) -> str:
    """A digest of what training depends on besides options and data: source, libraries, heads, what options name.

    Raises:
        WeightsError: if pretrained weights are missing.
    """
    registered = map(repr, LAYERS)  # also those of heads from outside of this package, whose source is not digested
    return digest(_source_digest(), *map(_version, _LIBRARIES), *registered, *named_content(options))


def named_content(options: ComponentConfig) -> List[str]:
    """Digests of what options name alone: pretrained weights, files and folders.

    Raises:
        WeightsError: if pretrained weights are missing.
    """
    weights = options.weights_to_start_from
    files = [_file_digest(Path(os.path.expanduser(name))) for name in options.files_to_read()]
    return [weights_digest(weights) if weights else "", *files]


def digest(*parts: str) -> str:
    """A digest of texts in their order."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def compression_key(options: QuantizedBertFeaturizerConfig, messages: Sequence[Sequence[str]]) -> str:
    """A digest of all that compressed weights depend on; messages count where a vocabulary or ranges come from them."""
    is_trimmed = options.vocabulary == "trim" or (
        options.vocabulary == "auto" and not has_small_vocabulary(options.model_weights)
    )
    texts = messages if is_trimmed or options.quantization.method == "static_int8" else []
    return digest(environment_digest(options), json.dumps(options.compression(), sort_keys=True), json.dumps(texts))


@functools.lru_cache(maxsize=None)
def _source_digest() -> str:
    package = Path(__file__).parent.parent
    files = sorted(path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in TOOLS)
    return digest(*(f"{path.relative_to(package).as_posix()} {_file_digest(path)}" for path in files))


@functools.lru_cache(maxsize=None)
def _version(package: str) -> str:
    """Of an installed package; nothing of one that is not."""
    try:
        return f"{package} {metadata.version(package)}"
    except (metadata.PackageNotFoundError, ValueError):  # the latter of a name that can be no package's
        return package


def _file_digest(path: Path) -> str:
    """Of a file, of the files in a folder, or the version of a package; of what is not there, the name alone."""
    if path.is_dir():
        inside = sorted(inner for inner in path.rglob("*") if inner.is_file())
        return digest(*(f"{inner.relative_to(path).as_posix()} {_file_digest(inner)}" for inner in inside))
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else _version(str(path))
