"""Declaration of an option: its default, type, accepted values and help, in one place.

The declaration lives in the metadata of a dataclass field, so reading a configuration, suggesting a name for a typo and
writing `docs/options.md` are generic: none of them names an option.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Dict, Mapping, Optional, Sequence, Tuple, Type, Union


@dataclass(frozen=True)
class Option:
    """The values that an option accepts, and the values of other options that it requires.

    Attributes:
        kind: type of the values.
        help: description in `docs/options.md`.
        low: inclusive lower bound; `high` is the upper one.
        above: exclusive lower bound; `below` is the upper one.
        choices: all values that are accepted.
        optional: whether null is accepted.
        requires: dotted names of other options of the component, each with the values with which this option applies.
        because: why it applies with these only, for the error message.
        unused: values, besides null and the default, with which nothing is required.
    """

    kind: type
    help: str
    low: Optional[float] = None
    high: Optional[float] = None
    above: Optional[float] = None
    below: Optional[float] = None
    choices: Sequence[str] = ()
    optional: bool = False
    requires: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    because: str = ""
    unused: Sequence[Any] = ()

    def coerce(self, value: Any) -> Any:
        """Return `value` as the option's type; raise `ValueError` or `OverflowError` if it is not accepted."""
        if value is None and self.optional:
            return None
        coerced = _COERCIONS[self.kind](value)
        if self.choices and coerced not in self.choices or not self._in_range(coerced):
            raise ValueError(value)
        return coerced

    def accepted(self) -> str:
        """Return a description of the accepted values, such as "a number in [0, 0.99] or null"."""
        text = f"one of: {', '.join(self.choices)}" if self.choices else _KIND_NAMES[self.kind] + self._range()
        return f"{text} or null" if self.optional else text

    def _in_range(self, value: Any) -> bool:
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _range(self) -> str:
        left = f"({self.above}" if self.low is None else f"[{self.low}"
        right = f"{self.below})" if self.high is None else f"{self.high}]"
        if self.high is None and self.below is None:
            above = "" if self.above is None else f" > {self.above}"
            return above if self.low is None else f" >= {self.low}"
        return f" in {left}, {right}"


def option(default: Any, kind: type, **declaration: Any) -> Any:
    """Declare a dataclass field as an option; `declaration` takes the further fields of `Option`."""
    return field(default=default, metadata={"option": Option(kind, **declaration)})


def section(cls: type) -> Any:
    """Declare a dataclass field as a section whose options are the fields of the frozen dataclass `cls`."""
    return field(default_factory=lambda: variant_of(cls, {})(), metadata={"section": cls})


class Variants(ABC):
    """Base of a section with one option that determines which other options exist.

    Attributes:
        variant_option: the name of that option.
    """

    variant_option: ClassVar[str]

    @classmethod
    @abstractmethod
    def variants(cls) -> Mapping[str, type]:
        """Return the dataclass for each value of that option."""


def variant_of(cls: type, values: Any) -> Any:
    """Return the variant of `cls` that the values of a section choose; `cls` itself if it has no variants."""
    if not issubclass(cls, Variants):
        return cls
    name = values.get(cls.variant_option) if isinstance(values, Mapping) else None
    variants = cls.variants()
    return variants[name if isinstance(name, str) and name in variants else getattr(cls, cls.variant_option)]


def declared_options(cls: type) -> Dict[str, Option]:
    """Return the options of `cls` and of all its variants, by name."""
    variants = cls.variants().values() if issubclass(cls, Variants) else ()
    return {name: found for part in (*reversed(list(variants)), cls) for name, found in options_of(part).items()}


def options_of(cls: type) -> Dict[str, Option]:
    """Return the options that `cls` declares, without its sections, by name."""
    return {item.name: item.metadata["option"] for item in fields(cls) if "option" in item.metadata}


def sections_of(cls: type) -> Dict[str, Type[Any]]:
    """Return the dataclasses of the sections that `cls` declares, by name."""
    return {item.name: item.metadata["section"] for item in fields(cls) if "section" in item.metadata}


def _to_float(value: Any) -> float:
    """Strings count as numbers here because YAML 1.1 reads `1e-4`, which has no dot, as a string."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _to_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ValueError(value)
    return int(value)


def _to_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _to_str(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return str(value)


def _to_indices(value: Any) -> Tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(value)
    indices = tuple(_to_int(item) for item in value)
    if min(indices) < 0 or len(set(indices)) < len(indices):
        raise ValueError(value)
    return indices


def _to_texts(value: Any) -> Tuple[str, ...]:
    texts = value if isinstance(value, (list, tuple)) else [value]
    if not texts:
        raise ValueError(value)
    return tuple(dict.fromkeys(map(_to_str, texts)))


def _to_switches(value: Any) -> Union[bool, Dict[str, bool]]:
    if not isinstance(value, Mapping):
        return _to_bool(value)
    return {_to_str(name): _to_bool(switch) for name, switch in value.items()}


_COERCIONS = {
    float: _to_float,
    int: _to_int,
    bool: _to_bool,
    str: _to_str,
    tuple: _to_indices,
    list: _to_texts,
    dict: _to_switches,
}
_KIND_NAMES = {
    float: "a number",
    int: "an integer",
    bool: "a boolean (true or false)",
    str: "a non-empty string",
    tuple: "a list of different integers >= 0",
    list: "a non-empty string, or a list of them",
    dict: "a boolean (true or false), or a map of names to booleans",
}
