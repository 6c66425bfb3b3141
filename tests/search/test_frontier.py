"""The Pareto frontier against its definition, and the picks from it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.search_samplers import hypervolume
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.search.frontier import Point, averaged, dominates, finalists, pareto, picks, require_some
from rasa_compressed_bert.search.goals import read_thresholds, size_of

COSTS = ("latency_ms", "size_mb")


def point(number, score, latency, size, parameters=1):
    figures = {
        "score": score,
        "macro_f1": score,
        "accuracy": score,
        "entity_f1": None,
        "latency_ms": latency,
        "size_mb": size,
        "parameters": parameters,
    }
    return Point(number, figures, {"epochs": number})


BASELINE = point(-1, 0.90, 1.0, 10.0)
POINTS = [
    point(0, 0.95, 2.0, 10.0),
    point(1, 0.92, 1.5, 9.0),
    point(2, 0.8985, 0.9, 7.0),
    point(3, 0.895, 0.3, 8.0),
    point(4, 0.5, 0.1, 1.0),
    point(5, 0.94, 2.5, 11.0),
]
numbers = st.integers(0, 4)
some_points = st.lists(st.tuples(numbers, numbers, numbers), max_size=8).map(
    lambda rows: [point(index, *row) for index, row in enumerate(rows)]
)


@given(some_points)
def test_the_frontier_is_what_nothing_dominates(points):
    front = pareto(points, COSTS)
    for one in points:
        better = any(
            other.figures["score"] >= one.figures["score"]
            and all(other.figures[cost] <= one.figures[cost] for cost in COSTS)
            and any(other.figures[name] != one.figures[name] for name in ("score", *COSTS))
            for other in points
        )
        assert (one in front) == (not better)
    assert not any(dominates(a.figures, b.figures, COSTS) for a, b in itertools.product(front, front))


def test_thresholds_come_first():
    kept = pareto(POINTS, COSTS, read_thresholds(["size_mb <= 8", "score >= 0.6"]))
    assert [found.number for found in kept] == [2, 3]


def test_picks():
    found = picks(POINTS, BASELINE)
    assert {name: one.number for name, one in found.items()} == {
        "best": 0,
        "smaller_and_better": 1,
        "smallest": 2,
        "fastest": 3,
    }
    assert picks(POINTS, BASELINE, within=0.5)["fastest"].number == 4
    assert picks([], BASELINE) == dict.fromkeys(found)


def test_picks_by_parameters():
    """Size is compared in megabytes unless only parameters are minimised."""
    assert size_of(("latency_ms", "parameters")) == "parameters"
    assert size_of(("latency_ms",)) == size_of(("parameters", "size_mb")) == "size_mb"
    points = [point(0, 0.95, 1.0, 5.0, parameters=30), point(1, 0.92, 1.0, 30.0, parameters=9)]
    baseline = point(-1, 0.90, 1.0, 10.0, parameters=10)
    assert picks(points, baseline)["best"].number == 0
    assert picks(points, baseline, size="parameters")["best"].number == 1
    assert finalists(points, baseline, size="parameters")[0].number == 1


def test_finalists_are_the_first_of_each_choice():
    assert {one.number for one in finalists(POINTS, BASELINE)} == {0, 1, 2, 3}
    many = [point(index, 0.95, 1.0 + index, 5.0 + index) for index in range(20)]
    assert {one.number for one in finalists(many, BASELINE)} == {0, 1}
    missed = point(6, 0.885, 0.2, 20.0)  # half a point below the limit, on one split
    assert {one.number for one in finalists([*POINTS, missed], BASELINE)} == {0, 1, 2, 3, 6}


def test_figures_of_other_splits():
    """The split that a model was found on does not count in its score."""
    found, others = point(0, 0.99, 1.0, 10.0), [point(0, 0.9, 2.0, 10.0), point(0, 0.8, 1.5, 11.0)]
    mean = averaged(found.figures, [other.figures for other in others])
    assert mean["score"] == mean["macro_f1"] == pytest.approx(0.85)
    assert mean["score_deviation"] == pytest.approx(0.1 / 2**0.5)
    assert mean["latency_ms"] == 1.0 and mean["size_mb"] == 10.0 and mean["entity_f1"] is None
    assert averaged(found.figures, [others[0].figures])["score_deviation"] is None
    some = [{**others[0].figures, "entity_f1": 0.5}, others[1].figures]
    assert averaged(found.figures, some)["entity_f1"] == 0.5


def test_hypervolume():
    reference = {"score": 0.5, "latency_ms": 2.0, "size_mb": 10.0}
    assert hypervolume([point(0, 1.0, 1.0, 5.0)], COSTS, reference) == pytest.approx(0.5 * 0.5 * 0.5)
    assert hypervolume([point(0, 0.4, 1.0, 5.0)], COSTS, reference) == 0.0
    two = [point(0, 1.0, 1.0, 5.0), point(1, 0.75, 1.0, 2.5)]
    assert hypervolume(two, COSTS, reference) == pytest.approx(0.125 + 0.25 * 0.5 * 0.25)
    assert hypervolume([*two, point(2, 0.7, 1.5, 6.0)], COSTS, reference) == pytest.approx(0.125 + 0.25 * 0.5 * 0.25)


def test_thresholds_that_nothing_meets():
    thresholds = read_thresholds(["score >= 0.99", "size_mb <= 5"])
    require_some(POINTS, POINTS, thresholds)
    with pytest.raises(
        CompressedBertError, match="no model meets score >= 0.99, size_mb <= 5. The closest ones:\n  trial 2"
    ):
        require_some([], POINTS, thresholds)
    with pytest.raises(CompressedBertError, match="size_mb <= 5 on other splits. The closest ones:"):
        require_some([], POINTS, thresholds, where=" on other splits")


def test_a_score_that_other_splits_do_not_have():
    """Such as that of unanswerable questions, if a split holds out none."""
    thresholds = read_thresholds(["unanswerable_f1 >= 0.5"])
    found = {**point(3, 0.9, 1.0, 1.0).figures, "unanswerable_f1": 0.8}
    others = [{name: value for name, value in found.items() if name != "unanswerable_f1"}]
    measured = [Point(3, averaged(found, others), {})]
    assert pareto(measured, ["size_mb"], thresholds) == []
    with pytest.raises(CompressedBertError, match="trial 3: unanswerable_f1 not measured: the data have no labels"):
        require_some([], measured, thresholds, where=" on the other splits of the data")
