"""Reading the options of a component: coerce each, check them together, report every problem at once."""

from __future__ import annotations

import difflib
import reprlib
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from rasa_compressed_bert.config.options import Option, options_of, sections_of
from rasa_compressed_bert.errors import ConfigError

Config = TypeVar("Config", bound="ComponentConfig")


@dataclass(frozen=True)
class Problem:
    """One line for the user and the dotted names of the options that it is about."""

    options: Tuple[str, ...]
    text: str


class ComponentConfig(ABC):
    """Base of the frozen dataclasses that hold all options of one component."""

    injected: ClassVar[Mapping[str, Option]] = {}
    """Keys that Rasa adds to a configuration; each is an `InitVar` of the dataclass, so it is used but not kept."""

    learns_intents: ClassVar[bool] = False
    learns_entities: ClassVar[bool] = False

    @classmethod
    def from_dict(cls: Type[Config], options: Mapping[str, Any]) -> Config:
        """Return the configuration that `options`, as read from YAML, describe.

        Raises:
            ConfigError: with every unknown option, wrong type, value out of range and contradiction.
        """
        problems: List[Problem] = []
        config = _read(cls, options, problems, injected=cls.injected)
        invalid = {name for problem in problems for name in problem.options}
        problems += [conflict for conflict in config.conflicts() if invalid.isdisjoint(conflict.options)]
        if problems:
            raise ConfigError(*(problem.text for problem in problems))
        return config

    @classmethod
    def misread(cls, options: Mapping[str, Any]) -> List[Problem]:
        """Return the unknown options and the values that are not accepted, whatever the other options are."""
        problems: List[Problem] = []
        _read(cls, options, problems, injected=cls.injected)
        return problems

    def to_dict(self) -> Dict[str, Any]:
        """Return all options, JSON-serialisable, such that `from_dict` gives an equal configuration."""
        return asdict(self)

    @classmethod
    def default_config(cls) -> Dict[str, Any]:
        """Return the defaults as Rasa's `get_default_config` needs them.

        Sections are `None`: Rasa would merge them into the user's one level deep and fail on a section that is `null`.
        """
        return {item.name: None if "section" in item.metadata else item.default for item in fields(cls)}

    def conflicts(self) -> Iterator[Problem]:
        """Yield the options that are valid one by one and contradict each other."""
        return iter(())

    @property
    @abstractmethod
    def weights_to_start_from(self) -> Optional[str]:
        """Pretrained weights that training needs; None if it needs none."""

    @property
    def has_detector(self) -> bool:
        """Whether confidences tell messages out of scope, see `out_of_scope.OutOfScopeConfig`."""
        section = getattr(self, "out_of_scope", None)
        return section is not None and section.detector != "none"

    def files_to_read(self) -> Sequence[str]:
        """Paths, beside those of weights, whose content matters to training."""
        return ()


def _read(
    cls: type, options: Any, problems: List[Problem], *, prefix: str = "", injected: Mapping[str, Option] = {}
) -> Any:
    """Return `cls` made of `options`, with the default wherever a problem was found and noted in `problems`."""
    known = {**options_of(cls), **injected}
    sections = sections_of(cls)
    if not isinstance(options, Mapping):
        name = prefix.rstrip(".")
        text = f"{name or 'options'}: {_shown(options)} is not a map of options (such as `{next(iter(known))}: ...`)"
        problems.append(Problem((name,), f"{text} or null, which gives the defaults" if name else text))
        return cls()
    values = {}
    for key, value in options.items():
        path = prefix + (key if isinstance(key, str) and key.isprintable() else _shown(key))
        if key in sections:
            values[key] = _read(sections[key], {} if value is None else value, problems, prefix=f"{path}.")
        elif key not in known:
            text = f"{path}: unknown option (value {_shown(value)}); {_suggestion(key, cls)}"
            problems.append(Problem((path,), text))
        else:
            try:
                values[key] = known[key].coerce(value)
            except (ValueError, OverflowError):
                problems.append(Problem((path,), f"{path}: {_shown(value)} is not {known[key].accepted()}"))
    return cls(**values)


def _suggestion(key: Any, cls: type) -> str:
    """Name the option nearest to `key`, of `cls` itself or of its sections, or else all options."""
    places = {inner: f"{name}.{inner}" for name, part in sections_of(cls).items() for inner in options_of(part)}
    own = [item.name for item in fields(cls)]
    places.update({name: name for name in own})
    nearest = difflib.get_close_matches(str(key), places, n=1) if isinstance(key, str) else []
    return f"did you mean '{places[nearest[0]]}'?" if nearest else f"known options: {', '.join(own)}"


def _shown(value: Any) -> str:
    """Return a short one-line `repr`, also of what is too large to print."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return f"<{type(value).__name__}>"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100
