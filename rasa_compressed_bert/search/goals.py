"""The goal of a search: a score to maximise, costs to minimise, and thresholds to meet."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type

from rasa_compressed_bert.config import ComponentConfig
from rasa_compressed_bert.errors import ConfigError

SCORE = "score"
_OF_INTENTS, _OF_ENTITIES = ("macro_f1", "accuracy"), ("entity_f1",)
_OF_ANSWERS = ("exact", "f1")
_APART = tuple(f"{kind}_{name}" for kind in ("answerable", "unanswerable") for name in _OF_ANSWERS)
SCORES = (*_OF_INTENTS, *_OF_ENTITIES, *_OF_ANSWERS, *_APART)
"""All scores that components can have; see `metrics`."""
_MAIN = ("macro_f1", "entity_f1", "exact")
COSTS = ("latency_ms", "size_mb", "parameters")
_MOST = 1e15  # of a cost
_THRESHOLD = re.compile(r"\s*(\w+)\s*(>=|<=)\s*([-+.\deE]+)\s*")


def scores_of(config_class: Type[ComponentConfig]) -> Tuple[str, ...]:
    """The scores that a component can have, depending on what it learns."""
    intents, entities = config_class.learns_intents, config_class.learns_entities
    answers = (*_OF_ANSWERS, *_APART) if config_class.learns_answers else ()
    return (*(_OF_INTENTS if intents else ()), *(_OF_ENTITIES if entities else ()), *answers)


@dataclass(frozen=True)
class Measured:
    """Scores and costs of a model on held-out data.

    Attributes:
        scores: by names of `SCORES`; only those for which the data have labels.
        latency_ms: median time of a message, or of a question on its passage, with the tokenizer, on one thread.
        size_mb: size of the artifact in an archive, in MB (10^6 bytes).
        parameters: number of parameters of the served model.
        maximized: the score that is maximised; None means macro F1 of intents, F1 of entities, their mean for a model
            with both, or exact match of answers.
    """

    scores: Mapping[str, float]
    latency_ms: float
    size_mb: float
    parameters: int
    maximized: Optional[str] = None

    @property
    def score(self) -> float:
        """The score that is maximised.

        Raises:
            ConfigError: if the data have no labels for it.
        """
        names = _MAIN if self.maximized is None else (self.maximized,)
        found = [self.scores[name] for name in names if name in self.scores]
        if not found:
            raise ConfigError(f"--maximize: the data have no labels for {' or '.join(names)}")
        return sum(found) / len(found)

    def to_dict(self) -> Dict[str, Any]:
        """All figures including `score`, as JSON values."""
        costs = {name: getattr(self, name) for name in COSTS}
        return {SCORE: self.score, **self.scores, **costs}


def are_figures(value: Any) -> bool:
    """Whether a value has the form of `Measured.to_dict`; older versions wrote None for a missing score."""
    return (
        isinstance(value, Mapping)
        and {SCORE, *COSTS} <= set(value) <= {SCORE, *SCORES, *COSTS}
        and all(_is_figure(name, figure) for name, figure in value.items())
    )


def _is_figure(name: str, value: Any) -> bool:
    """Whether a value is a share or, for a cost, a positive number; spaCy's models count as having no parameters."""
    if not isinstance(value, (int, float)):
        return value is None and name in SCORES
    if name not in COSTS:
        return 0 <= value <= 1
    return 0 < value <= _MOST or (name == "parameters" and value == 0)


@dataclass(frozen=True)
class Threshold:
    """`metric >= value` or `metric <= value`."""

    metric: str
    at_least: bool
    value: float

    def violation(self, figures: Mapping[str, Any]) -> float:
        """Distance of the figures from the threshold, relative to it; 0 or less if they meet it."""
        figure = figures.get(self.metric)
        if figure is None:
            return math.inf
        return (self.value - figure if self.at_least else figure - self.value) / (abs(self.value) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.at_least else '<='} {self.value:g}"


def read_thresholds(texts: Sequence[str]) -> Tuple[Threshold, ...]:
    """Parses thresholds such as `macro_f1 >= 0.9`.

    Raises:
        ConfigError: lists all that are invalid or contradict each other.
    """
    known = (SCORE, *SCORES, *COSTS)
    problems: List[str] = []
    thresholds: List[Threshold] = []
    for text in texts:
        found = _THRESHOLD.fullmatch(text)
        try:
            if not found or found[1] not in known:
                raise ValueError(text)
            thresholds.append(Threshold(found[1], found[2] == ">=", float(found[3])))
        except ValueError:
            problems.append(
                f"--threshold: '{text}' cannot be read; write a metric, >= or <=, and a number, such as "
                f"'macro_f1 >= 0.9'. Metrics: {', '.join(known)}."
            )
    for low in thresholds:
        for high in thresholds:
            if low.metric == high.metric and low.at_least and not high.at_least and low.value > high.value:
                problems.append(f"--threshold: '{low}' and '{high}' contradict each other")
    for threshold in thresholds:
        if threshold.metric not in COSTS and not 0.0 <= threshold.value <= 1.0:
            problems.append(f"--threshold: '{threshold}': scores are from 0 to 1: write 0.9 for 90 %")
    if problems:
        raise ConfigError(*problems)
    return tuple(thresholds)


def require_scores(
    maximize: Optional[str], thresholds: Sequence[Threshold], config_class: Type[ComponentConfig]
) -> None:
    """Refuses scores that a component cannot have, before anything is trained.

    Args:
        maximize: the score that is maximised; None means the component's default.
        thresholds: conditions that a model must meet.
        config_class: dataclass of the component's options.

    Raises:
        ConfigError: lists all of them.
    """
    known = scores_of(config_class)
    problems = [
        f"--threshold: '{threshold}': {config_class.component()} has no {threshold.metric}; it has {', '.join(known)}"
        for threshold in thresholds
        if threshold.metric not in (SCORE, *known, *COSTS)
    ]
    if maximize is not None and maximize not in known:
        problems.append(f"--maximize: {config_class.component()} has no {maximize}; it has {', '.join(known)}")
    if problems:
        raise ConfigError(*problems)


def require_measured(figures: Mapping[str, Any], thresholds: Sequence[Threshold], costs: Sequence[str]) -> None:
    """Refuses thresholds and costs that the component does not have with these data, before the search begins.

    Args:
        figures: figures of the unchanged config.yml.
        thresholds: conditions that a model must meet.
        costs: the costs that are minimised.

    Raises:
        ConfigError: if one of them is not among the figures.
    """
    problems = [
        f"--threshold: '{threshold}': the data have no labels for {threshold.metric}"
        for threshold in thresholds
        if figures.get(threshold.metric) is None
    ]
    if "parameters" in costs and not figures["parameters"]:
        problems.append("--minimize: the parameters of spaCy's own models are not counted; minimize size_mb")
    if problems:
        raise ConfigError(*problems)


def size_of(costs: Sequence[str]) -> str:
    """The cost by which sizes are compared: parameters if they and not megabytes are minimised, else megabytes."""
    return "parameters" if "parameters" in costs and "size_mb" not in costs else "size_mb"


def read_costs(names: Sequence[str]) -> Tuple[str, ...]:
    """The one or two costs that are minimised.

    Raises:
        ConfigError: if there are more, or if one is unknown.
    """
    if not 1 <= len(set(names)) == len(names) <= 2 or not set(names) <= set(COSTS):
        raise ConfigError(
            f"--minimize: '{','.join(names)}': name one or two of {', '.join(COSTS)}, with a comma between them"
        )
    return tuple(names)
