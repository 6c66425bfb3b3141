"""What a search leaves behind: tables, files and plots."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

import matplotlib
import optuna
from matplotlib.figure import Figure

from rasa_compressed_bert.search.frontier import Point
from rasa_compressed_bert.search.goals import COSTS, SCORE
from rasa_compressed_bert.search.study import FIGURES, is_baseline
from rasa_compressed_bert.search.workers import REASON, comes_again

matplotlib.use("Agg")
_SHOWN = (SCORE, *COSTS)
_IMPORTANCE_TRIALS = 8  # fewer say nothing


def write_trials(study: optuna.Study, path: Path) -> None:
    """One row a trial: number, state, figures, options, and the reason of one that was not finished."""
    trials = study.get_trials(deepcopy=False)
    options = sorted({name for trial in trials for name in trial.params})
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["number", "state", *_SHOWN, *options, REASON])
    for trial in trials:
        figures = trial.user_attrs.get(FIGURES, {})
        values = [figures.get(name, "") for name in _SHOWN]
        tried = [trial.params.get(name, "") for name in options]
        writer.writerow([trial.number, _state(trial), *values, *tried, trial.user_attrs.get(REASON, "")])
    path.write_text(text.getvalue(), encoding="utf-8")


def _state(trial: optuna.trial.FrozenTrial) -> str:
    """Optuna's, but for trials without figures: those that failed count as complete, so that it learns from them."""
    if is_baseline(trial):
        return "BASELINE"
    if comes_again(trial):
        return "GIVEN BACK"
    failed = trial.state.name in ("COMPLETE", "FAIL") and FIGURES not in trial.user_attrs
    return "FAILED" if failed else trial.state.name


def write_frontier(front: Sequence[Point], baseline: Point, picked: Mapping[str, Optional[Point]], path: Path) -> None:
    """The frontier, the baseline, and the numbers of the trials that were picked."""
    content = {
        "baseline": baseline.figures,
        "pareto": [{"trial": point.number, "options": point.options, **point.figures} for point in front],
        "picked": {name: None if point is None else point.number for name, point in picked.items()},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def picked_rows(picked: Mapping[str, Optional[Point]], baseline: Point) -> List[List[str]]:
    """Heading, the baseline, and each model that was picked with its differences to it; ± between splits."""
    rows = [["model", "trial", "score, %", "ms", "MB", "parameters, million", "score, points", "time", "size"]]
    for name, point in {"baseline": baseline, **picked}.items():
        if point is None:
            rows.append([name, *[""] * (len(rows[0]) - 1)])
            continue
        own, base = point.figures, baseline.figures
        trial = "" if point.number < 0 else str(point.number)
        score = f"{100 * own[SCORE]:.2f} ± {100 * own['score_deviation']:.2f}"
        figures = [score, f"{own['latency_ms']:.3f}", f"{own['size_mb']:.2f}"]
        changes = [f"{100 * (own[SCORE] - base[SCORE]):+.2f}"]
        changes += [f"{100 * (own[cost] / base[cost] - 1):+.1f} %" for cost in ("latency_ms", "size_mb")]
        rows.append([name, trial, *figures, f"{own['parameters'] / 1e6:.2f}", *changes])
    return rows


def plot_frontier(
    points: Sequence[Point], front: Sequence[Point], baseline: Point, costs: Sequence[str], path: Path
) -> None:
    """Score against each cost: all trials on the search's split, the frontier and the baseline on the others."""
    figure = Figure(figsize=(6.0 * len(costs), 4.5), layout="constrained")
    for axes, cost in zip(figure.subplots(1, len(costs), squeeze=False)[0], costs):
        for (label, group), marker in zip(_groups(points, front, baseline).items(), ".o*"):
            x = [point.figures[cost] for point in group]
            axes.plot(x, [100 * point.figures[SCORE] for point in group], marker, label=label)
        axes.set_xlabel(cost)
        axes.set_ylabel("score, %")
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(str(path), dpi=120)


def importances(study: optuna.Study) -> Dict[str, float]:
    """How much options set the best tenth of the trials apart from the others (PED-ANOVA, Watanabe et al. 2023).

    Shares that sum to 1; none of few trials.
    """
    finished = [trial for trial in study.get_trials(deepcopy=False) if FIGURES in trial.user_attrs]
    if len(finished) < _IMPORTANCE_TRIALS:
        return {}
    # A study of its own: among Optuna's trials are failed ones, with the worst of scores. The best ones are the lowest.
    measured = optuna.create_study(direction="minimize")
    for trial in finished:
        values = {"params": trial.params, "distributions": trial.distributions}
        measured.add_trial(optuna.create_trial(value=-trial.user_attrs[FIGURES][SCORE], **values))
    return optuna.importance.get_param_importances(measured, evaluator=optuna.importance.PedAnovaImportanceEvaluator())


def plot_importances(shares: Mapping[str, float], path: Path) -> None:
    """A bar an option."""
    figure = Figure(figsize=(6.0, 0.4 * len(shares) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(shares)[::-1], list(shares.values())[::-1])
    axes.set_xlabel("importance for the score")
    figure.savefig(str(path), dpi=120)


def write_html(
    points: Sequence[Point],
    front: Sequence[Point],
    baseline: Point,
    costs: Sequence[str],
    shares: Mapping[str, float],
    path: Path,
) -> None:
    """A page that works offline: score against the costs, the options of each model under the pointer, importances."""
    import plotly.graph_objects as plotly
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2 if shares else 1, cols=len(costs))
    for column, cost in enumerate(costs, 1):
        for label, group in _groups(points, front, baseline).items():
            hover = [
                "<br>".join([f"trial {point.number}", *(f"{name}: {value}" for name, value in point.options.items())])
                for point in group
            ]
            x, y = [point.figures[cost] for point in group], [100 * point.figures[SCORE] for point in group]
            trace = plotly.Scatter(x=x, y=y, mode="markers", name=label, text=hover, showlegend=column == 1)
            figure.add_trace(trace, row=1, col=column)
        figure.update_xaxes(title_text=cost, row=1, col=column)
    figure.update_yaxes(title_text="score, %", row=1, col=1)
    if shares:
        bars = plotly.Bar(x=list(shares.values())[::-1], y=list(shares)[::-1], orientation="h", showlegend=False)
        figure.add_trace(bars, row=2, col=1)
        figure.update_xaxes(title_text="importance for the score", row=2, col=1)
    figure.write_html(str(path), include_plotlyjs=True)


def _groups(points: Sequence[Point], front: Sequence[Point], baseline: Point) -> Dict[str, Sequence[Point]]:
    return {"trials": points, "Pareto frontier, other splits": front, "baseline, other splits": [baseline]}
