"""Options that are of use only where other options have certain values, as they declare it (`Option.requires`)."""

from __future__ import annotations

from typing import Any, Iterator, Sequence

from rasa_compressed_bert.config.options import options_of, sections_of
from rasa_compressed_bert.config.problems import Problem, shown

_MISSING = object()


def unmet_requirements(config: Any) -> Iterator[Problem]:
    """Yield every option that is set, and whose requirements the other options of a component do not meet.

    An option is set if its value is neither its default nor null, nor one of `Option.unused`. A requirement of an
    option that the component does not have is met.
    """
    sections = {f"{name}.": getattr(config, name) for name in sections_of(type(config))}
    for prefix, part in {"": config, **sections}.items():
        for name, option in options_of(type(part)).items():
            value = getattr(part, name)
            if value is None or value == getattr(type(part), name) or value in option.unused:
                continue
            for other, values in option.requires.items():
                found = _value(config, other)
                if found is not _MISSING and found not in values:
                    yield Problem(
                        (prefix + name, other),
                        f"{prefix}{name}: {shown(value)} is only for {other}: {alternatives(values)}, not "
                        f"{_word(found)}{option.because and f', as {option.because}'}; change {other.split('.')[-1]} "
                        f"or leave {name} out",
                    )


def alternatives(values: Sequence[Any]) -> str:
    """Values as words: `a, b or c`."""
    *others, last = map(_word, values)
    return f"{', '.join(others)} or {last}" if others else last


def _value(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = getattr(config, name, _MISSING)
    return config


def _word(value: Any) -> str:
    """As YAML has it."""
    return value if isinstance(value, str) else shown(value)
