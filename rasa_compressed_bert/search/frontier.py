"""The Pareto frontier, and the choice of models from it."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.search.goals import SCORE, SCORES, Threshold

KEEP_SCORE = 0.0025  # the choice `smallest` may lose a quarter of a point
WITHIN = 0.01
_FINALISTS, _SHOWN = 2, 3
_LUCK = 0.01  # assumed error of the score of one model on one split


class Point(NamedTuple):
    """A model that was trained and measured.

    Attributes:
        number: number of the trial; negative for the baseline.
        figures: see `goals.Measured.to_dict`.
        options: options of the trial, by their dotted names; empty for the baseline.
    """

    number: int
    figures: Mapping[str, Any]
    options: Mapping[str, Any]


def dominates(one: Mapping[str, Any], other: Mapping[str, Any], costs: Sequence[str]) -> bool:
    """Whether a model is at least as good as another in score and all costs, and better in one of them."""
    gains = [one[SCORE] - other[SCORE], *(other[cost] - one[cost] for cost in costs)]
    return min(gains) >= 0 and max(gains) > 0


def pareto(points: Sequence[Point], costs: Sequence[str], thresholds: Sequence[Threshold] = ()) -> List[Point]:
    """The points that meet the thresholds and are dominated by no other such point, best score first."""
    kept = [point for point in points if all(item.violation(point.figures) <= 0 for item in thresholds)]
    front = [point for point in kept if not any(dominates(other.figures, point.figures, costs) for other in kept)]
    return sorted(front, key=lambda point: (-point.figures[SCORE], point.number))


def picks(
    points: Sequence[Point], baseline: Point, *, within: float = WITHIN, size: str = "size_mb"
) -> Dict[str, Optional[Point]]:
    """The best model for each choice, by the name of the choice; None if no point meets its condition.

    Args:
        points: to choose from, with or without the baseline.
        baseline: the model of the unchanged config.yml.
        within: the score that the choice `fastest` may lose.
        size: the cost by which sizes are compared.
    """
    return {name: found[0] if found else None for name, found in _ranked(points, baseline, within, size).items()}


def finalists(
    points: Sequence[Point], baseline: Point, *, within: float = WITHIN, size: str = "size_mb"
) -> List[Point]:
    """The best few for each choice, also if the baseline scored slightly less; other splits decide between them."""
    unlucky = baseline._replace(figures={**baseline.figures, SCORE: baseline.figures[SCORE] - _LUCK})
    rankings = [ranked for given in (baseline, unlucky) for ranked in _ranked(points, given, within, size).values()]
    return list({point.number: point for ranked in rankings for point in ranked[:_FINALISTS]}.values())


def _ranked(points: Sequence[Point], baseline: Point, within: float, size: str) -> Dict[str, List[Point]]:
    """The points that meet the condition of each choice, best first."""
    largest, score = baseline.figures[size], baseline.figures[SCORE]

    def ranked(condition: Callable[[Mapping[str, Any]], bool], key: Callable[[Mapping[str, Any]], Any]) -> List[Point]:
        return sorted((point for point in points if condition(point.figures)), key=lambda point: key(point.figures))

    return {
        "best": ranked(lambda own: own[size] <= largest, lambda own: (-own[SCORE], own[size])),
        "smaller_and_better": ranked(
            lambda own: own[SCORE] > score and own[size] < largest, lambda own: (own[size], -own[SCORE])
        ),
        "smallest": ranked(lambda own: own[SCORE] >= score - KEEP_SCORE, lambda own: (own[size], -own[SCORE])),
        "fastest": ranked(lambda own: own[SCORE] >= score - within, lambda own: (own["latency_ms"], -own[SCORE])),
    }


def averaged(found: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """Figures of one model over splits: scores are means over the other splits, latency is the minimum over all.

    Args:
        found: figures on the search's own split.
        others: figures on other splits.

    Returns:
        `found` with these, and `score_deviation`: the sample standard deviation of `score`, None for a single split.
    """
    names = [name for name in (SCORE, *SCORES) if any(name in figures for figures in (found, *others))]
    known = {name: [figures[name] for figures in others if figures.get(name) is not None] for name in names}
    scores = {name: fmean(values) if values else None for name, values in known.items()}
    latency = min(figures["latency_ms"] for figures in (found, *others))
    deviation = stdev(known[SCORE]) if len(others) > 1 else None
    return {**found, **scores, "latency_ms": latency, "score_deviation": deviation}


def require_some(
    front: Sequence[Point], points: Sequence[Point], thresholds: Sequence[Threshold], *, where: str = ""
) -> None:
    """Refuses a search in which no model meets the thresholds.

    Args:
        front: the models that meet the thresholds.
        points: all models that were measured.
        thresholds: conditions that a model must meet.
        where: a description of the data that they were measured on, for the message.

    Raises:
        CompressedBertError: if there is none; it names the trials that come nearest to the thresholds.
    """
    if front or not points:
        return

    def miss(point: Point) -> float:
        return max(item.violation(point.figures) for item in thresholds)

    def measured(point: Point, metric: str) -> str:
        figure = point.figures.get(metric)
        return f"{metric} {'not measured: the data have no labels' if figure is None else f'{figure:.4g}'}"

    nearest = sorted(points, key=miss)[:_SHOWN]
    lines = [
        f"  {'the unchanged config.yml' if point.number < 0 else f'trial {point.number}'}: "
        + ", ".join(measured(point, item.metric) for item in thresholds)
        for point in nearest
    ]
    asked = ", ".join(map(str, thresholds))
    raise CompressedBertError("\n".join([f"search: no model meets {asked}{where}. The closest ones:", *lines]))
