"""The search space: options of a component, each with a list of values or a range."""

from __future__ import annotations

import collections
import json
import logging
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from rasa_compressed_bert.config import (
    BertOptions,
    ComponentConfig,
    DistilledIntentClassifierConfig,
    declared_options,
    sections_of,
    shown,
    student_of,
)
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.search.dotted import merged, nested

Space = Mapping[str, BaseDistribution]
"""Distributions by the dotted names of options, such as `pruning.final_sparsity`."""

logger = logging.getLogger(__name__)
_RANGE = {"low", "high", "step", "log"}
_JSON = "json:"
"""Prefix of a list or a map among the choices, which a storage can only keep as text."""
_TRIED = 200  # random draws to detect contradicting options
_ON_OWN_PASSAGES = "questions are asked about their own passages, so that none is retrieved"
_WITHOUT_EFFECT: Mapping[str, str] = {
    "budget": "a budget chooses the pruning itself; give its limits to search as --threshold",
    "documents": _ON_OWN_PASSAGES,
    "intents": _ON_OWN_PASSAGES,
    "num_threads": "models are timed on one thread",
    "passages": _ON_OWN_PASSAGES,
    "training_data": "models learn the questions of --questions",
}
"""Options, and sections, that change no figure of a trial, with the reasons."""
_OF_BERTS: Mapping[str, Any] = {
    "epochs": {"low": 4, "high": 12},
    "learning_rate": {"low": 3e-5, "high": 4e-4, "log": True},
    "pruning.final_sparsity": {"low": 0.3, "high": 0.95},
    "pruning.schedule": ["polynomial_decay", "constant"],
    "vocabulary": ["full", "trim"],
    "quantization.encoder_bits": {"low": 2, "high": 8},
    "quantization.embedding_bits": {"low": 3, "high": 8},
    "distillation.temperature": {"low": 1.0, "high": 6.0},
    "distillation.alpha": {"low": 0.0, "high": 0.7},
}
_OF_EXTRACTORS: Mapping[str, Any] = {**_OF_BERTS, "epochs": {"low": 2, "high": 6}}
"""For answer extractors, with fewer epochs: there are far more windows than a bot has messages."""
_COMPARED = ("bilstm", "ngrams")
"""The students to choose from if the config.yml names none."""
_OF_STUDENTS: Mapping[str, Any] = {
    "epochs": {"low": 4, "high": 16},
    "learning_rate": {"low": 1e-3, "high": 8e-3, "log": True},
    "distillation.alpha": {"low": 0.0, "high": 0.5},
    "distillation.temperature": {"low": 1.0, "high": 4.0},
    "augmentation.n_iter": [10, 20, 40],
}


def default_space(config_class: Type[ComponentConfig], base: Mapping[str, Any]) -> Space:
    """The default search space: the options that have an effect with the given config.yml.

    Args:
        config_class: dataclass of the component's options.
        base: the options in the config.yml.

    Raises:
        ConfigError: if the component has no score to maximise, or if the config.yml is invalid.
    """
    config = config_class.from_dict(base)
    if isinstance(config, BertOptions):
        values = _OF_EXTRACTORS if config.learns_answers else _OF_BERTS
    elif isinstance(config, DistilledIntentClassifierConfig):
        values = {**_student_space((base.get("student") or {}).get("architecture")), **_OF_STUDENTS}
    else:
        raise ConfigError("search: a featurizer has no score of its own; search for a classifier or an extractor")
    useful = {name: _useful(name, value, config_class, base) for name, value in values.items()}
    return read_space({name: value for name, value in useful.items() if value is not None}, config_class)


def _student_space(architecture: Optional[str]) -> Mapping[str, Any]:
    """The space of a student; if none is named, the students and the options that they have in common."""
    if architecture is not None:
        return student_of(architecture).search_space
    first, *others = (student_of(name).search_space for name in _COMPARED)
    common = {name: value for name, value in first.items() if all(space.get(name) == value for space in others)}
    return {"student.architecture": list(_COMPARED), **common}


def _useful(name: str, value: Any, config_class: Type[ComponentConfig], base: Mapping[str, Any]) -> Any:
    """The values of an option that are valid with a config.yml; None if fewer than two are."""
    ends = value if isinstance(value, list) else [value["low"], value["high"]]
    kept = [item for item in ends if not _conflicts(config_class, base, {name: item})]
    if len(kept) < 2:
        return None
    return kept if isinstance(value, list) else value


def _conflicts(
    config_class: Type[ComponentConfig], base: Mapping[str, Any], options: Mapping[str, Any]
) -> Sequence[str]:
    try:
        config_class.from_dict(merged(base, options))
    except ConfigError as error:
        return error.problems
    return []


def require_possible(space: Space, config_class: Type[ComponentConfig], base: Mapping[str, Any]) -> None:
    """Draws randomly from a space, to find contradictions in it before anything is trained.

    Raises:
        ConfigError: if no draw is valid; it lists the problems.
    """
    problems: collections.Counter[str] = collections.Counter()
    failed, study = 0, optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(_TRIED):
        found = _conflicts(config_class, base, decoded(study.ask(dict(space)).params))
        failed += bool(found)
        problems.update(found)
    most = [text for text, _ in problems.most_common(3)]
    if failed == _TRIED:
        raise ConfigError(*(f"search: no trial can be valid: {text}" for text in most))
    if failed:
        logger.warning(
            f"search: {failed / _TRIED:.0%} of the combinations in the space are invalid, and their trials will fail: "
            f"{'; '.join(most)}"
        )


def encoded(value: Any) -> Any:
    """A value in the form that a storage can keep: lists and maps become text."""
    return _JSON + json.dumps(value) if isinstance(value, (list, tuple, Mapping)) else value


def decoded(options: Mapping[str, Any]) -> Dict[str, Any]:
    """The options of a trial; inverts `encoded`."""
    return {
        name: json.loads(value[len(_JSON) :]) if isinstance(value, str) and value.startswith(_JSON) else value
        for name, value in options.items()
    }


def read_space(values: Any, config_class: Type[ComponentConfig]) -> Space:
    """Parses and checks a space that a user wrote below `search:`.

    Args:
        values: by dotted names, a list of values, or a map with `low`, `high` and optionally `step` or `log: true`.
        config_class: the component's options.

    Raises:
        ConfigError: lists all unknown options, invalid values and invalid ranges.
    """
    if not isinstance(values, Mapping) or not values:
        raise ConfigError("search: write options with their values, such as `search: {epochs: [4, 8]}`")
    problems: List[str] = []
    space: Dict[str, BaseDistribution] = {}
    for name, value in values.items():
        try:
            space[name] = _dimension(name, value, config_class)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(*problems)
    return space


def _dimension(name: Any, value: Any, config_class: Type[ComponentConfig]) -> BaseDistribution:
    if not isinstance(name, str):
        raise ConfigError(f"search: {shown(name)} is not the name of an option")
    reason = _WITHOUT_EFFECT.get(name.partition(".")[0])
    if reason is not None and _is_known(name, config_class):
        raise ConfigError(f"search.{name}: leave it out, as it changes no figure of a trial: {reason}")
    if isinstance(value, list):
        if len(value) < 2 or len({repr(item) for item in value}) < len(value):
            raise ConfigError(f"search.{name}: write two or more different values instead of {shown(value)}")
        _check(name, value, config_class)
        return CategoricalDistribution([encoded(item) for item in value])
    if not isinstance(value, Mapping) or not {"low", "high"} <= set(value) <= _RANGE:
        raise ConfigError(
            f"search.{name}: write a list of values, or a range such as {{low: 1, high: 9}} (step or log: true can be "
            f"added), instead of {shown(value)}"
        )
    return _range(name, dict(value), config_class)


def _range(name: str, value: Dict[str, Any], config_class: Type[ComponentConfig]) -> BaseDistribution:
    kind = _kind(name, config_class)
    if kind not in (int, float):
        _check(name, [value["low"]], config_class)
        raise ConfigError(f"search.{name}: only numbers have ranges; write a list of values")
    _check(name, [value["low"], value["high"]], config_class)
    try:
        numbers = {key: kind(value[key]) for key in ("low", "high", "step") if value.get(key) is not None}
        if not numbers["low"] < numbers["high"]:
            raise ValueError("low must be below high")
        make = IntDistribution if kind is int else FloatDistribution
        return make(log=bool(value.get("log", False)), **numbers)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"search.{name}: {shown(value)} is not a valid range: {error}") from error


def _kind(name: str, config_class: Type[ComponentConfig]) -> Any:
    """The type of an option's values; None for an unknown option."""
    owner, last = _owner(name, config_class)
    found = declared_options(owner).get(last) if owner else None
    return found.kind if found else None


def _is_known(name: str, config_class: Type[ComponentConfig]) -> bool:
    """Whether there is an option or a section of that name."""
    owner, last = _owner(name, config_class)
    return owner is not None and last in {*declared_options(owner), *sections_of(owner)}


def _owner(name: str, config_class: Type[ComponentConfig]) -> Tuple[Any, str]:
    """The dataclass that a dotted name belongs to, None if a section is unknown, and the last part of the name."""
    owner: Any = config_class
    *parents, last = name.split(".")
    for parent in parents:
        owner = sections_of(owner).get(parent) if owner else None
    return owner, last


def _check(name: str, values: List[Any], config_class: Type[ComponentConfig]) -> None:
    """Refuses unknown options and invalid values."""
    if not _is_known(name, config_class):
        values = values[:1]
    texts = [problem.text for value in values for problem in config_class.misread(nested({name: value}))]
    if texts:
        raise ConfigError(*dict.fromkeys(f"search.{text}" for text in texts))
