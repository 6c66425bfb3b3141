"""Rasa's configuration of a component as ours, and our errors as ones that Rasa shows as they are."""

from __future__ import annotations

import functools
import hashlib
import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence, Type, TypeVar

from rasa.engine.caching import Cacheable
from rasa.shared.exceptions import InvalidConfigException, RasaException

from rasa_compressed_bert.config import ComponentConfig, QuantizedBertFeaturizerConfig
from rasa_compressed_bert.errors import CompressedBertError, ConfigError, WeightsError
from rasa_compressed_bert.models.pretrained import weights_digest

Config = TypeVar("Config", bound=ComponentConfig)


class ComponentError(RasaException):
    """What went wrong in this package; Rasa shows its own exceptions in one line, and hides the words of any other."""


@contextmanager
def shown_by_rasa() -> Iterator[None]:
    """Turns our errors into `ComponentError`: `rasa train`, `rasa run` and `rasa shell` then show what they say."""
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
    """What Rasa's cache cannot see: a digest of this package's source and of the pretrained weights.

    Rasa also asks for a component that it restored from its cache, with the configuration of the stand-in that holds
    the cached output, and does not use the answer: None then.

    Raises:
        InvalidConfigException: for options that are wrong and for missing weights, before any component is trained.
    """
    if isinstance(config.get("output"), Cacheable):
        return None
    options = parse_config(cls, config)
    try:
        weights = weights_digest(options.model_weights)
    except WeightsError as error:
        raise InvalidConfigException(str(error)) from error
    return f"{_source_digest()}-{weights}"


def compression_key(options: QuantizedBertFeaturizerConfig, messages: Sequence[Sequence[str]]) -> str:
    """A digest of all that compressed weights depend on; messages count where a vocabulary or ranges come from them."""
    digest = hashlib.sha256(_source_digest().encode("ascii") + weights_digest(options.model_weights).encode("ascii"))
    digest.update(json.dumps(options.compression(), sort_keys=True).encode("ascii"))
    if options.vocabulary == "trim" or options.quantization.method == "static_int8":
        digest.update(json.dumps(messages).encode("ascii"))
    return digest.hexdigest()


@functools.lru_cache(maxsize=None)
def _source_digest() -> str:
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode("utf-8"))
        digest.update(path.read_bytes())
    return digest.hexdigest()
