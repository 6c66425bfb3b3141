"""Reading the options of a component: coerce each, check them together, report every problem at once."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from rasa_compressed_bert.config import rasa_options
from rasa_compressed_bert.config.options import Option, declared_options, options_of, sections_of, variant_of
from rasa_compressed_bert.config.problems import Problem, shown
from rasa_compressed_bert.config.requirements import unmet_requirements
from rasa_compressed_bert.errors import ConfigError

Config = TypeVar("Config", bound="ComponentConfig")


@dataclass(frozen=True)
class ComponentConfig(ABC):
    """Base of the frozen dataclasses that hold all options of one component."""

    injected: ClassVar[Mapping[str, Option]] = {}
    """Keys that Rasa adds to a configuration; each is an `InitVar` of the dataclass, so it is used but not kept."""

    learns_intents: ClassVar[bool] = False
    learns_entities: ClassVar[bool] = False
    learns_answers: ClassVar[bool] = False

    @classmethod
    def component(cls) -> str:
        """Return the name of the component."""
        return cls.__name__[: -len("Config")]

    @classmethod
    def from_dict(cls: Type[Config], options: Mapping[str, Any]) -> Config:
        """Return the configuration that `options`, as read from YAML, describe.

        Raises:
            ConfigError: with every unknown option, wrong type, value out of range and contradiction.
        """
        problems: List[Problem] = []
        conflicts: List[Problem] = []
        config = _read(cls, options, problems, conflicts=conflicts, injected=cls.injected)
        invalid = {name for problem in problems for name in problem.options}
        conflicts += config.conflicts()
        problems += [conflict for conflict in conflicts if invalid.isdisjoint(conflict.options)]
        if problems:
            own = {name: getattr(config, name) for name in options_of(cls)}
            hints = rasa_options.advice_on_shared_options(invalid - own.keys(), own, cls.default_config())
            problems += [Problem((name,), f"{name}: {hint}") for name, hint in hints.items()]
            raise ConfigError(*(problem.text for problem in problems), component=cls.component())
        return config

    @classmethod
    def misread(cls, options: Mapping[str, Any]) -> List[Problem]:
        """Return the unknown options and the values that are not accepted, without contradictions between options."""
        problems: List[Problem] = []
        _read(cls, options, problems, conflicts=[], injected=cls.injected)
        return problems

    def to_dict(self) -> Dict[str, Any]:
        """Return all options, JSON-serialisable, such that `from_dict` gives an equal configuration."""
        return asdict(self)

    @classmethod
    def default_config(cls) -> Dict[str, Any]:
        """Return the defaults as Rasa's `get_default_config` needs them.

        Sections are `None`: Rasa would merge their defaults only one level deep, and fail on a section that is `null`.
        """
        return {item.name: None if "section" in item.metadata else item.default for item in fields(cls)}

    def conflicts(self) -> Iterator[Problem]:
        """Yield the contradictions between options that are valid one by one."""
        return unmet_requirements(self)

    @property
    @abstractmethod
    def weights_to_start_from(self) -> Optional[str]:
        """Pretrained weights that training needs; None if it needs none."""

    @property
    @abstractmethod
    def weights_option(self) -> str:
        """The option that names pretrained weights."""

    @property
    @abstractmethod
    def num_threads(self) -> int:
        """Number of threads of the serving engine, an option of every component."""

    @property
    def response_selection(self) -> bool:
        """Whether responses of retrieval intents are selected, an option of the classifiers."""
        return False

    @property
    def fallback_threshold(self) -> Optional[float]:
        """`out_of_scope.threshold`; None without a detector of messages out of scope."""
        section = getattr(self, "out_of_scope", None)
        return None if section is None or section.detector == "none" else section.threshold

    def named_paths(self) -> Sequence[Tuple[str, str]]:
        """The files and folders, besides those of weights, that training reads: the option and the path of each."""
        return ()

    def files_to_read(self) -> Sequence[str]:
        """Paths and names, besides those of weights, whose content training depends on."""
        return [path for _, path in self.named_paths()]


def _read(
    base: type,
    options: Any,
    problems: List[Problem],
    *,
    conflicts: List[Problem],
    prefix: str = "",
    injected: Mapping[str, Option] = {},
) -> Any:
    """Return an instance of `base`, or of a variant of it, with the values of `options`, and defaults for invalid ones.

    Invalid options are appended to `problems`, and options of other variants to `conflicts`.
    """
    cls = variant_of(base, options)
    known = {**options_of(cls), **injected}
    others = {name: found for name, found in declared_options(base).items() if name not in known}
    of_variants = declared_options(base).keys() - options_of(base).keys()
    sections = sections_of(cls)
    if not isinstance(options, Mapping):
        name = prefix.rstrip(".")
        text = f"{name or 'options'}: {shown(options)} is not a map of options (such as `{next(iter(known))}: ...`)"
        problems.append(Problem((name,), f"{text} or null, which gives the defaults" if name else text))
        return cls()
    values = {}
    for key, value in options.items():
        path = prefix + (key if isinstance(key, str) and key.isprintable() else shown(key))
        if key in sections:
            found = {} if value is None else value
            values[key] = _read(sections[key], found, problems, conflicts=conflicts, prefix=f"{path}.")
        elif value is None and key in of_variants:
            continue  # the default
        elif key not in known and key not in others:
            if not (path == key and _is_anyway(cls, key, value)):
                advice = _owners(prefix, key, base) or _suggestion(key, cls)
                problems.append(Problem((path,), f"{path}: unknown option (value {shown(value)}); {advice}"))
        else:
            try:
                if key in known:
                    values[key] = known[key].coerce(value)
                else:
                    value = others[key].coerce(value)
                    conflicts.append(_of_another_variant(base, cls, path=path, key=key, value=value))
            except (ValueError, OverflowError):
                hint = rasa_options.advice_on_value(path, value)
                text = f"{path}: {shown(value)} is not {(known.get(key) or others[key]).accepted()}"
                problems.append(Problem((path,), f"{text}; {hint}" if hint else text))
    return cls(**values)


def _of_another_variant(base: Any, cls: type, *, path: str, key: str, value: Any) -> Problem:
    """Return the problem of an option that `cls`, the chosen variant of `base`, does not have."""
    by, variants = base.variant_option, base.variants()
    chooser = f"{path[: -len(key)]}{by}"
    chosen = next(name for name, variant in variants.items() if variant is cls)
    owners = [name for name, variant in variants.items() if key in options_of(variant)]
    return Problem(
        (path, chooser),
        f"{path}: {shown(value)} is only for {chooser}: {' or '.join(owners)}, not {chosen}; change {by} or leave "
        f"{key} out",
    )


def _is_anyway(cls: Any, key: Any, value: Any) -> bool:
    """Whether an option is a switch of DIETClassifier, set to what the component learns anyway."""
    learnt = {"intent_classification": cls.learns_intents, "entity_recognition": cls.learns_entities}
    return isinstance(value, bool) and learnt.get(key) == value


def _suggestion(key: Any, cls: type) -> str:
    """Return a hint: the option of `cls` or of its sections that is most similar to `key`, or else all options."""
    places = _places(cls)
    nearest = difflib.get_close_matches(key, places, n=1) if isinstance(key, str) else []
    if nearest:
        return f"did you mean '{places[nearest[0]]}'?"
    return f"known options: {', '.join(item.name for item in fields(cls))}"


def _places(cls: type) -> Dict[str, str]:
    """Return the dotted names of the options of `cls` and of its sections, keyed by their last parts."""
    inner = {name: f"{section}.{name}" for section, part in sections_of(cls).items() for name in declared_options(part)}
    return {**inner, **{name: name for name in (*declared_options(cls), *sections_of(cls))}}


def _owners(prefix: str, key: Any, cls: type) -> Optional[str]:
    """Return which other components have the option `key`; None if none has it, or if `cls` has it elsewhere."""
    if not isinstance(key, str) or key in _places(cls):
        return None
    section = prefix.rstrip(".")
    parts = {owner: sections_of(owner).get(section) if section else owner for owner in _components(ComponentConfig)}
    owners = [owner for owner, part in parts.items() if part and key in {*declared_options(part), *sections_of(part)}]
    if owners:
        names = ", ".join(sorted(owner.component() for owner in owners))
        return f"it is an option of {names}: leave it out, or use a component that has it"
    return None if section else rasa_options.advice(key)


def _components(base: Type[Any]) -> Iterator[Type[ComponentConfig]]:
    """Yield the subclasses of `base` that have none themselves: each holds the options of a component."""
    derived = base.__subclasses__()
    if not derived:
        yield base
    for cls in derived:
        yield from _components(cls)
