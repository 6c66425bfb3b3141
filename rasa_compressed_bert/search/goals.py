"""What is searched for: a score that shall be high, costs that shall be low, and what they must not miss."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from rasa_compressed_bert.errors import ConfigError

SCORE = "score"
SCORES = ("macro_f1", "accuracy", "entity_f1")
COSTS = ("latency_ms", "size_mb", "parameters")
_THRESHOLD = re.compile(r"\s*(\w+)\s*(>=|<=)\s*([-+.\deE]+)\s*")


@dataclass(frozen=True)
class Measured:
    """A model on held-out messages.

    Attributes:
        macro_f1: of the intents; None without any.
        accuracy: of the intents.
        entity_f1: micro F1 of exact spans; None without entities.
        latency_ms: median of one message, tokenizer included, on one thread.
        size_mb: of the artifact as an archive stores it, 10^6 bytes.
        parameters: of the served model.
    """

    macro_f1: Any
    accuracy: Any
    entity_f1: Any
    latency_ms: float
    size_mb: float
    parameters: int

    @property
    def score(self) -> float:
        """Macro F1 of the intents or F1 of the entities; of a model with both, their mean."""
        scores = [value for value in (self.macro_f1, self.entity_f1) if value is not None]
        return sum(scores) / len(scores)

    def to_dict(self) -> Dict[str, Any]:
        """All figures, `score` included; JSON values."""
        return {SCORE: self.score, **asdict(self)}


def are_figures(value: Any) -> bool:
    """Whether a value is what `Measured.to_dict` gives."""
    names = {SCORE, *(field.name for field in fields(Measured))}
    return (
        isinstance(value, Mapping)
        and set(value) == names
        and all(_is_finite(value[name]) or name in SCORES and value[name] is None for name in names)
    )


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


@dataclass(frozen=True)
class Threshold:
    """`metric >= value` or `metric <= value`."""

    metric: str
    at_least: bool
    value: float

    def violation(self, figures: Mapping[str, Any]) -> float:
        """How far the figures are from it, as a share of it; 0 or less where they keep it."""
        figure = figures.get(self.metric)
        if figure is None:
            return math.inf
        return (self.value - figure if self.at_least else figure - self.value) / (abs(self.value) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.at_least else '<='} {self.value:g}"


def read_thresholds(texts: Sequence[str]) -> Tuple[Threshold, ...]:
    """Thresholds as a user writes them, as in `macro_f1 >= 0.9`.

    Raises:
        ConfigError: with every one that is none, and those that contradict each other.
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


def require_measured(figures: Mapping[str, Any], thresholds: Sequence[Threshold], costs: Sequence[str]) -> None:
    """Refuses what a component does not have, before anything is searched for.

    Args:
        figures: of the config.yml as it is.
        thresholds: what a model must not miss.
        costs: what is minimised.

    Raises:
        ConfigError: if one of them is no figure of this component.
    """
    problems = [
        f"--threshold: '{threshold}': this component has no {threshold.metric}"
        for threshold in thresholds
        if figures[threshold.metric] is None
    ]
    if "parameters" in costs and not figures["parameters"]:
        problems.append("--minimize: the parameters of spaCy's own models are not counted; minimize size_mb")
    if problems:
        raise ConfigError(*problems)


def read_costs(names: Sequence[str]) -> Tuple[str, ...]:
    """The one or two costs that are minimised.

    Raises:
        ConfigError: if they are others.
    """
    if not 1 <= len(set(names)) == len(names) <= 2 or not set(names) <= set(COSTS):
        raise ConfigError(
            f"--minimize: '{','.join(names)}': name one or two of {', '.join(COSTS)}, with a comma between them"
        )
    return tuple(names)
