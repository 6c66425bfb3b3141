"""Plots of score against cost: the frontier, distinct markers, and names at points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot

from benchmarks.common.names import LOOKS, headline, name_of
from rasa_compressed_bert.benchmark.answers_report import plot_answers
from rasa_compressed_bert.benchmark.report import plot_comparison
from rasa_compressed_bert.reporting.trade_off import Point, cycled, draw_trade_off, frontier

NUMBERS = st.integers(1, 6).map(float)


def point(cost, score, name="a", deviation=0.0):
    return Point(name, cost, score, deviation, "C0", "o")


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12))
def test_nothing_on_the_frontier_is_beaten(pairs):
    points = [point(*pair) for pair in pairs]
    best = frontier(points)
    for other in points:
        beats = [item for item in best if other.cost <= item.cost and other.score >= item.score]
        assert all((item.cost, item.score) == (other.cost, other.score) for item in beats)
        assert any(item.cost <= other.cost and item.score >= other.score for item in best)


def test_sixty_models_look_different():
    assert len({tuple(cycled(index)) for index in range(60)}) == 60


def test_known_models_look_different():
    assert len(set(LOOKS.values())) == len(LOOKS)


def test_points_are_named_and_ticks_are_plain():
    figure, axes = pyplot.subplots()
    draw_trade_off(axes, [point(0.7, 83.0, "Ours"), point(40.0, 75.0, "Other", 1.5)], cost="milliseconds")
    figure.canvas.draw()
    assert {"Ours", "Other", "better"} <= {text.get_text() for text in axes.texts}
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert "0.5" in ticks and "20" in ticks and not any("^" in tick for tick in ticks)
    pyplot.close(figure)


@pytest.mark.parametrize(
    "row, name",
    [
        ("pruned_60_int8", "Pruned BERT (default)"),
        ("pruned_80_int8", "Pruned BERT, 80 %"),
        ("80", "Pruned BERT, 80 %"),
        ("joint_pruned_60_int8", "Joint pruned BERT (default)"),
        ("multilingual_joint_pruned_60_int8", "Multilingual joint pruned BERT (default)"),
        ("distilled_bilstm", "BiLSTM student"),
        ("trim_8000", "Pruned BERT, 8,000 wordpieces"),
        ("lmf_diet_43", "LanguageModelFeaturizer + DIET"),
        ("diet", "Rasa's default (DIET)"),
        ("something", "something"),
    ],
)
def test_names_of_rows(row, name):
    assert name_of(row) == name


def test_the_headline_names_what_is_shown():
    rows = [
        {"model": "pruned_60_int8", "latency_p50_ms": 1.0, "macro_f1": 0.9},
        {"model": "diet", "latency_p50_ms": 8.0, "macro_f1": 0.95},
    ]
    assert headline("sst2", rows).endswith(
        "8.0 times as fast as Rasa's default (DIET), 5.0 points of macro F1 below it"
    )
    assert headline("sst2", rows[:1]) == "SST-2: score against time and size"


@pytest.mark.parametrize("name", ["a$x_{b$c", "$", "\u6a21\u578b \U0001f336"])
def test_names_of_files_are_shown_as_they_are(name, tmp_path, recwarn):
    """matplotlib would parse text between dollar signs as a formula, and warn of every missing glyph."""
    result = {"macro_f1": 0.5, "latency_p50_ms": 1.0, "archive_mb": 2.0}
    plot_comparison(
        [{"model": name, **result}, {"model": "b", **result}], tmp_path / "a.png", title=f"20 of {name}.yml"
    )
    answers = {"f1": 0.5, "latency_p50_ms": 1.0, "extractor_mb": 2.0}
    plot_answers([{"model": name, **answers}, {"model": "b", **answers}], tmp_path / "b.png", title=f"20 of {name}.yml")
    assert (tmp_path / "a.png").is_file() and (tmp_path / "b.png").is_file()
    assert not [str(one.message) for one in recwarn if "Glyph" in str(one.message)]
