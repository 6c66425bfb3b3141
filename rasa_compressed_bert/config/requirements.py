"""Options that apply only if other options have certain values, as declared in `Option.requires`."""

from __future__ import annotations

from typing import Any, Iterator, Sequence

from rasa_compressed_bert.config.options import options_of, sections_of
from rasa_compressed_bert.config.problems import Problem, shown

_MISSING = object()


def unmet_requirements(config: Any) -> Iterator[Problem]:
    """Yield every option that is set although other options of the component do not meet its requirements.

    An option is set if its value is neither its default nor null, nor one of `Option.unused`. A requirement on an
    option that the component does not have counts as met.
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
    """Return values as text, such as `a, b or c`."""
    *others, last = map(_word, values)
    return f"{', '.join(others)} or {last}" if others else last


def _value(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = getattr(config, name, _MISSING)
    return config


def _word(value: Any) -> str:
    """Return a value as in YAML, strings without quotes."""
    return value if isinstance(value, str) else shown(value)
