"""Checks that settings of pretrained weights make transformers take no more memory and time than weights need.

A setting of a few bytes may ask for any number of labels, of token types, or of wordpieces that a tokenizer adds. The
time for added wordpieces is quadratic. A tensor without stored values, or one that repeats a value, may have any size.
"""

from __future__ import annotations

from typing import Any, Iterator

from rasa_compressed_bert.errors import WeightsError

_COUNTS = ("num_labels", "type_vocab_size", "extra_ids", "offset", "num_madeup_words")
"""Settings of config.json and tokenizer_config.json: the number of objects that transformers makes for each."""
_MOST = 10_000
"""The largest supported number; T5 adds 100 wordpieces, and to add 10,000 takes two seconds."""
_LARGEST = 2**32
"""The largest size of all tensors, in bytes; XLM-R large has half of it."""


def require_limited_tensors(size: int, *, file: str) -> None:
    """Refuses a file whose tensors would take very much memory.

    Args:
        size: the size of all tensors in bytes.
        file: the name of the file that contains them.

    Raises:
        WeightsError: if they are too large.
    """
    if size > _LARGEST:
        raise WeightsError(f"The weights in '{file}' take {size} bytes in memory; at most {_LARGEST} are supported.")


def require_limited_settings(settings: Any, name: str, *, file: str) -> None:
    """Refuses settings with very large numbers of objects.

    Args:
        settings: the settings, as parsed from JSON.
        name: the name of the weights.
        file: the name of the file that contains the settings.

    Raises:
        WeightsError: if there is one; the message names the first.
    """
    for count in _COUNTS:
        value = settings.get(count) if isinstance(settings, dict) else None
        if isinstance(value, (int, float)) and value > _MOST:
            raise WeightsError(f"model_weights '{name}': {count} in {file} is {value}; at most {_MOST} is supported.")


def require_few_texts(settings: Any, name: str, *, file: str) -> None:
    """Refuses settings of a tokenizer that list very many wordpieces to add; see `require_limited_settings`."""
    if sum(1 for _ in _texts(settings)) > _MOST:
        raise WeightsError(
            f"model_weights '{name}': {file} has more than {_MOST} strings; so many added wordpieces are not supported."
        )


def _texts(value: Any) -> Iterator[str]:
    """All strings within a JSON value, and the names of numbers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from [key] if type(inner) is int else _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
