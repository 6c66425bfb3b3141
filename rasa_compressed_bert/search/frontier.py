"""Which models are worth having: the Pareto frontier, and what may be picked from it."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.search.goals import SCORE, SCORES, Threshold

KEEP_SCORE = 0.0025  # a quarter of a point, which the smallest model may lose
WITHIN = 0.01


class Point(NamedTuple):
    """A model that was trained and measured.

    Attributes:
        number: of the trial.
        figures: see `goals.Measured.to_dict`.
        options: that were tried, by their dotted names; none of the baseline.
    """

    number: int
    figures: Mapping[str, Any]
    options: Mapping[str, Any]


def dominates(one: Mapping[str, Any], other: Mapping[str, Any], costs: Sequence[str]) -> bool:
    """Whether a model is as good in everything, and better in something."""
    gains = [one[SCORE] - other[SCORE], *(other[cost] - one[cost] for cost in costs)]
    return min(gains) >= 0 and max(gains) > 0


def pareto(points: Sequence[Point], costs: Sequence[str], thresholds: Sequence[Threshold] = ()) -> List[Point]:
    """Those that no other dominates among those that keep the thresholds, best score first."""
    kept = [point for point in points if all(item.violation(point.figures) <= 0 for item in thresholds)]
    front = [point for point in kept if not any(dominates(other.figures, point.figures, costs) for other in kept)]
    return sorted(front, key=lambda point: (-point.figures[SCORE], point.number))


def picks(points: Sequence[Point], baseline: Point, *, within: float = WITHIN) -> Dict[str, Optional[Point]]:
    """The models that people ask for, by name; None where no point is one.

    Args:
        points: to choose from, the baseline among them or not.
        baseline: what the config.yml gives as it is.
        within: how much score the fastest may lose.
    """
    size, score = baseline.figures["size_mb"], baseline.figures[SCORE]

    def best(condition: Callable[[Mapping[str, Any]], bool], key: Callable[[Mapping[str, Any]], Any]) -> Any:
        found = [point for point in points if condition(point.figures)]
        return min(found, key=lambda point: key(point.figures)) if found else None

    return {
        "best": best(lambda own: own["size_mb"] <= size, lambda own: (-own[SCORE], own["size_mb"])),
        "smaller_and_better": best(
            lambda own: own[SCORE] > score and own["size_mb"] < size, lambda own: (own["size_mb"], -own[SCORE])
        ),
        "smallest": best(lambda own: own[SCORE] >= score - KEEP_SCORE, lambda own: (own["size_mb"], -own[SCORE])),
        "fastest": best(lambda own: own[SCORE] >= score - within, lambda own: (own["latency_ms"], -own[SCORE])),
    }


def finalists(front: Sequence[Point], baseline: Point, *, within: float = WITHIN) -> List[Point]:
    """Those of a frontier that may be picked: the others lose too much; all of it where all of it does."""
    kept = [point for point in front if point.figures[SCORE] >= baseline.figures[SCORE] - within]
    return kept or list(front)


def averaged(measurements: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """Figures of one model on several splits: scores are means, latency is that of the quietest, the rest the first's.

    `score_deviation` is the sample standard deviation of `score`, 0 of a single split.
    """
    first = measurements[0]
    scores = {
        name: None if first[name] is None else fmean(figures[name] for figures in measurements)
        for name in (SCORE, *SCORES)
    }
    spread = stdev(figures[SCORE] for figures in measurements) if len(measurements) > 1 else 0.0
    latency = min(figures["latency_ms"] for figures in measurements)
    return {**first, **scores, "latency_ms": latency, "score_deviation": spread}


def require_some(
    front: Sequence[Point], points: Sequence[Point], thresholds: Sequence[Threshold], *, shown: int = 3
) -> None:
    """Refuses a search that nothing came of.

    Raises:
        CompressedBertError: names the trials that came nearest to the thresholds.
    """
    if front:
        return
    if not points:
        raise CompressedBertError("search: no trial was finished; see trials.csv for the reasons.")

    def miss(point: Point) -> float:
        return max(max(item.violation(point.figures), 0.0) / (abs(item.value) or 1.0) for item in thresholds)

    nearest = sorted(points, key=miss)[:shown]
    lines = [
        f"  {'the config.yml as it is' if point.number < 0 else f'trial {point.number}'}: "
        + ", ".join(f"{item.metric} {point.figures[item.metric]:.4g}" for item in thresholds)
        for point in nearest
    ]
    asked = ", ".join(map(str, thresholds))
    raise CompressedBertError("\n".join([f"search: no trial keeps {asked}. The nearest:", *lines]))
