"""The report of a search on its picks."""

import json

from test_frontier import BASELINE, COSTS, POINTS

from rasa_compressed_bert.search import report
from rasa_compressed_bert.search.frontier import averaged
from rasa_compressed_bert.search.goals import read_thresholds


def on_splits(point, *scores):
    return point._replace(figures=averaged(point.figures, [{**point.figures, "score": score} for score in scores]))


def with_parameters(point, number):
    return point._replace(figures={**point.figures, "parameters": number})


def test_choices_have_the_figures_of_the_splits_to_report_on():
    reported = {"baseline": on_splits(BASELINE, 0.8, 0.9), "best": on_splits(POINTS[0], 0.9, 0.92), "fastest": None}
    heading, baseline, best, fastest = report.picked_rows(reported)
    assert baseline[:3] == ["baseline", "", "85.00 ± 7.07"] and best[:3] == ["best", "0", "91.00 ± 1.41"]
    assert "± its standard deviation" in report.legend([heading, baseline])
    assert best[7:] == ["+100.0 %", "+0.0 %"]
    by_parameters = report.picked_rows({**reported, "best": with_parameters(reported["best"], 3)}, size="parameters")
    assert by_parameters[2][8] == "+200.0 %"
    assert best[6] == "+6.00" and fastest == ["fastest", *[""] * (len(heading) - 1)]


def test_every_score_that_a_component_has():
    answers = {"score": 0.6, "exact": 0.6, "f1": 0.65, "unanswerable_exact": 0.9, "macro_f1": None}
    some = {name: value for name, value in answers.items() if name != "unanswerable_exact"}
    reported = {
        "baseline": BASELINE._replace(figures=answers),
        "best": POINTS[0]._replace(figures=some),
        "fastest": None,
    }
    assert report.score_rows(reported) == [
        ["model", "exact, %", "F1, %", "exact, unanswerable, %"],
        ["baseline", "60.00", "65.00", "90.00"],
        ["best", "60.00", "65.00", ""],
    ]


def test_trials_that_miss_a_threshold_are_shown_apart():
    tried = report.Tried(POINTS, BASELINE, read_thresholds(["score >= 0.94"]))
    shown = report._panels(tried, report.Confirmed([], BASELINE, {}))["the search's split"]
    numbers = {label: [point.number for point in group] for label, group in shown.items()}
    assert numbers == {"trials": [0, 5], "miss a threshold": [1, 2, 3, 4], "unchanged config.yml": [-1]}


def test_a_single_split_has_no_deviation():
    rows = report.picked_rows({"baseline": on_splits(BASELINE, 0.8), "best": on_splits(POINTS[0], 0.9)})
    assert [row[2] for row in rows[1:]] == ["80.00", "90.00"] and "±" not in report.legend(rows)


def test_scores_of_different_messages_share_no_axis(tmp_path):
    tried = report.Tried(POINTS, BASELINE)
    front, baseline = [on_splits(POINTS[0], 0.7)], on_splits(BASELINE, 0.6)
    confirmed = report.Confirmed(front, baseline, {"baseline": on_splits(BASELINE, 0.5), "best": None})
    assert report._panels(tried, confirmed) == {
        "the search's split": {"trials": POINTS, "unchanged config.yml": [BASELINE]},
        "other splits": {"Pareto frontier": front, "unchanged config.yml": [baseline]},
    }
    report.plot_frontier(tried, confirmed, COSTS, tmp_path / "plot.png")
    report.write_html(tried, confirmed, COSTS, {"epochs": 1.0}, tmp_path / "plot.html")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    page = (tmp_path / "plot.html").read_text(encoding="utf-8")
    assert "other splits" in page and "milliseconds a message (lower is better)" in page and "latency_ms" not in page
    assert page.count('"showlegend":true') == 3  # one colour and one legend entry per kind of model
    report.write_frontier(confirmed, tmp_path / "pareto.json", study="search", made_from="digest")
    content = json.loads((tmp_path / "pareto.json").read_text(encoding="utf-8"))
    assert content["picked"] == {"best": None} and content["reported"]["baseline"]["score"] == 0.5
