"""The results of a search: tables, files and plots."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import matplotlib
import optuna
from matplotlib.figure import Figure

from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.search.frontier import Point
from rasa_compressed_bert.search.goals import COSTS, SCORE, SCORES, Threshold
from rasa_compressed_bert.search.study import BASELINE, FIGURES, is_baseline
from rasa_compressed_bert.search.workers import REASON, comes_again

matplotlib.use("Agg")
_AXES = {"latency_ms": "milliseconds a message", "size_mb": "size of the archive, MB", "parameters": "parameters"}
_TRIALS, _MISSED, _FRONTIER, _BASELINE = "trials", "miss a threshold", "Pareto frontier", "unchanged config.yml"
_LOOKS = {
    _TRIALS: ("#9aa0a6", "circle", "o"),
    _MISSED: ("#dadce0", "circle", "o"),
    _FRONTIER: ("#1f77b4", "circle", "o-"),
    _BASELINE: ("#d62728", "star", "*"),
}
"""Colour, and marker in plotly and in matplotlib, of each kind of model."""
_NAMES = {
    **{"macro_f1": "macro F1", "accuracy": "accuracy", "entity_f1": "entity F1", "exact": "exact", "f1": "F1"},
    **{"answerable_exact": "exact, answerable", "answerable_f1": "F1, answerable"},
    **{"unanswerable_exact": "exact, unanswerable", "unanswerable_f1": "F1, unanswerable"},
}
"""Names of the scores in tables."""
_STUDY, _MADE_FROM = "study", "made_from"
_IMPORTANCE_TRIALS = 8  # with fewer, importances are not computed


def write_trials(study: optuna.Study, path: Path) -> None:
    """Writes a row per trial: number, state, figures, options, and why it was not finished or cannot be chosen."""
    trials = study.get_trials(deepcopy=False)
    options = sorted({name for trial in trials for name in trial.params})
    measured = {name for trial in trials for name in trial.user_attrs.get(FIGURES, {})}
    shown = [SCORE, *(name for name in SCORES if name in measured), *COSTS]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["number", "state", *shown, *options, REASON])
    for trial in trials:
        figures = trial.user_attrs.get(FIGURES, {})
        values = [figures.get(name, "") for name in shown]
        tried = [trial.params.get(name, "") for name in options]
        writer.writerow([trial.number, _state(trial), *values, *tried, trial.user_attrs.get(REASON, "")])
    path.write_text(text.getvalue(), encoding="utf-8")


def _state(trial: optuna.trial.FrozenTrial) -> str:
    """Optuna's state, except that failed trials, which Optuna has as complete to learn from them, are FAILED."""
    if is_baseline(trial):
        return "BASELINE"
    if comes_again(trial):
        return "GIVEN BACK"
    failed = trial.state.name in ("COMPLETE", "FAIL") and FIGURES not in trial.user_attrs
    return "FAILED" if failed else trial.state.name


class Confirmed(NamedTuple):
    """Models measured on splits other than the search's own.

    Attributes:
        front: the frontier, on the splits on which choices are made.
        baseline: the unchanged config.yml, on the same splits.
        reported: the baseline and each choice, by name, on splits that were not used to choose; None for a choice for
            which there is no model.
    """

    front: Sequence[Point]
    baseline: Point
    reported: Mapping[str, Optional[Point]]


def write_frontier(confirmed: Confirmed, path: Path, *, study: str, made_from: str) -> None:
    """Writes the frontier, the baseline, and the trial numbers and figures of the choices, as JSON.

    Args:
        confirmed: the models.
        path: the file.
        study: the name of their study, see `require_folder_of`.
        made_from: the digest of what it was made from, see `Goal`.
    """
    chosen = {name: point for name, point in confirmed.reported.items() if name != BASELINE}
    content = {
        _STUDY: study,
        _MADE_FROM: made_from,
        "baseline": confirmed.baseline.figures,
        "pareto": [{"trial": point.number, "options": point.options, **point.figures} for point in confirmed.front],
        "picked": {name: None if point is None else point.number for name, point in chosen.items()},
        "reported": {name: None if point is None else point.figures for name, point in confirmed.reported.items()},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def require_folder_of(study: str, path: Path, *, made_from: str) -> None:
    """Refuses the folder of another study, also one of that name in another storage: its results would be replaced.

    Args:
        study: the name of the study.
        made_from: the digest of what it was made from, see `Goal`.
        path: the file of `write_frontier` in the folder.

    Raises:
        CompressedBertError: if the file is that of another study.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # there is none, or it is not whole
        return
    if not isinstance(content, dict):
        return
    own = {_STUDY: study, _MADE_FROM: made_from}
    owner = {key: content.get(key, value) for key, value in own.items()}  # older files lack them
    if owner != own:
        raise CompressedBertError(
            f"--out: '{path.parent}' has the results of another study, '{owner[_STUDY]}', which would be lost; choose "
            "another folder."
        )


def picked_rows(reported: Mapping[str, Optional[Point]], *, size: str = "size_mb") -> List[List[str]]:
    """A header, the baseline, and each choice with its differences from the baseline.

    ± is the sample standard deviation over splits; a single split has none.

    Args:
        reported: see `Confirmed`.
        size: the cost by which sizes are compared.
    """
    base = {name: point.figures for name, point in reported.items() if point is not None}[BASELINE]
    rows = [["model", "trial", "score, %", "ms", "MB", "parameters, million", "score, points", "time", "size"]]
    for name, point in reported.items():
        if point is None:
            rows.append([name, *[""] * (len(rows[0]) - 1)])
            continue
        own = point.figures
        trial = "" if point.number < 0 else str(point.number)
        deviation = own["score_deviation"]
        score = f"{100 * own[SCORE]:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")
        figures = [score, f"{own['latency_ms']:.3f}", f"{own['size_mb']:.2f}"]
        changes = [f"{100 * (own[SCORE] - base[SCORE]):+.2f}"]
        changes += [f"{100 * (own[cost] / base[cost] - 1):+.1f} %" for cost in ("latency_ms", size)]
        rows.append([name, trial, *figures, f"{own['parameters'] / 1e6:.2f}", *changes])
    return rows


def score_rows(reported: Mapping[str, Optional[Point]]) -> List[List[str]]:
    """A header, the baseline, and each choice, with all scores of the component in per cent."""
    figures = {name: point.figures for name, point in reported.items() if point is not None}
    names = [name for name in SCORES if any(own.get(name) is not None for own in figures.values())]
    rows = [["model", *(f"{_NAMES[name]}, %" for name in names)]]
    for model, own in figures.items():
        scores = [own.get(name) for name in names]
        rows.append([model, *("" if score is None else f"{100 * score:.2f}" for score in scores)])
    return rows


def legend(rows: Sequence[Sequence[str]]) -> str:
    """An explanation of the columns of `picked_rows`."""
    deviations = any("±" in cell for row in rows for cell in row)
    return (
        "baseline: your unchanged config.yml. score: the one that --maximize names, else macro F1 of intents, F1 of "
        "entities, their mean if there are both, or exact match of answers, on splits that were not used to choose"
        f"{', ± its standard deviation' if deviations else ''}. ms: one message, or one question on its passage, "
        "median, one thread. The last three columns are differences from the baseline."
    )


class Tried(NamedTuple):
    """Models measured on the search's own split.

    Attributes:
        points: the trials.
        baseline: the unchanged config.yml.
        thresholds: conditions that a model must meet.
    """

    points: Sequence[Point]
    baseline: Point
    thresholds: Sequence[Threshold] = ()


def plot_frontier(tried: Tried, confirmed: Confirmed, costs: Sequence[str], path: Path) -> None:
    """Plots score against each cost, with a row of panels for each kind of split: their scores are not comparable."""
    rows = _panels(tried, confirmed)
    figure = Figure(figsize=(6.0 * len(costs), 4.5 * len(rows)), layout="constrained")
    for (title, groups), panels in zip(rows.items(), figure.subplots(len(rows), len(costs), squeeze=False)):
        for axes, cost in zip(panels, costs):
            for label, group in _by_cost(groups, cost).items():
                colour, _, marker = _LOOKS[label]
                x, y, deviations = _coordinates(group, cost)
                size = 11 if label == _BASELINE else 6
                spread = deviations if any(deviations) else None
                axes.errorbar(x, y, yerr=spread, fmt=marker, color=colour, markersize=size, capsize=3, label=label)
            axes.set_title(title)
            axes.set_xlabel(f"{_AXES[cost]} (lower is better)")
            axes.set_ylabel("score, %")
            axes.legend()
            axes.grid(alpha=0.3)
    figure.savefig(str(path), dpi=120)


def importances(study: optuna.Study) -> Dict[str, float]:
    """How much each option separates the best tenth of the trials from the others (PED-ANOVA, Watanabe et al. 2023).

    Returns:
        Shares that sum to 1; empty with too few trials.
    """
    finished = [trial for trial in study.get_trials(deepcopy=False) if FIGURES in trial.user_attrs]
    if len(finished) < _IMPORTANCE_TRIALS:
        return {}
    # In a separate study, without failed trials, which have the worst scores in the original one; it minimises.
    measured = optuna.create_study(direction="minimize")
    for trial in finished:
        value = -trial.user_attrs[FIGURES][SCORE]
        measured.add_trial(optuna.create_trial(value=value, params=trial.params, distributions=trial.distributions))
    return optuna.importance.get_param_importances(measured, evaluator=optuna.importance.PedAnovaImportanceEvaluator())


def plot_importances(shares: Mapping[str, float], path: Path) -> None:
    """Plots a bar per option."""
    figure = Figure(figsize=(6.0, 0.4 * len(shares) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(shares)[::-1], list(shares.values())[::-1])
    axes.set_xlabel("importance for the score")
    figure.savefig(str(path), dpi=120)


def write_html(
    tried: Tried, confirmed: Confirmed, costs: Sequence[str], shares: Mapping[str, float], path: Path
) -> None:
    """Writes a page that works offline: `plot_frontier`, with the options of a model on hover, and importances."""
    import plotly.graph_objects as plotly
    from plotly.subplots import make_subplots

    panels = _panels(tried, confirmed)
    figure = make_subplots(rows=len(panels) + bool(shares), cols=len(costs))
    shown: Set[str] = set()  # one legend entry per kind of model, which toggles it in all panels
    for row, (title, groups) in enumerate(panels.items(), 1):
        for column, cost in enumerate(costs, 1):
            for label, group in _by_cost(groups, cost).items():
                colour, symbol, _ = _LOOKS[label]
                hover = [
                    "<br>".join([f"trial {point.number}", *(f"{key}: {value}" for key, value in point.options.items())])
                    for point in group
                ]
                x, y, deviations = _coordinates(group, cost)
                trace = plotly.Scatter(
                    x=x,
                    y=y,
                    error_y={"array": deviations} if any(deviations) else None,
                    mode="lines+markers" if label == _FRONTIER else "markers",
                    marker={"color": colour, "symbol": symbol, "size": 12 if label == _BASELINE else 8},
                    name=label,
                    legendgroup=label,
                    text=hover,
                    showlegend=label not in shown,
                )
                shown.add(label)
                figure.add_trace(trace, row=row, col=column)
            figure.update_xaxes(title_text=f"{_AXES[cost]} (lower is better)", row=row, col=column)
        figure.update_yaxes(title_text=f"score, %<br>{title}", row=row, col=1)
    if shares:
        bars = plotly.Bar(x=list(shares.values())[::-1], y=list(shares)[::-1], orientation="h", showlegend=False)
        figure.add_trace(bars, row=len(panels) + 1, col=1)
        figure.update_xaxes(title_text="importance for the score", row=len(panels) + 1, col=1)
    figure.update_layout(
        title="Score against cost of each model", template="plotly_white", height=400 * len(panels) + 250
    )
    figure.write_html(str(path), include_plotlyjs=True)


def _panels(tried: Tried, confirmed: Confirmed) -> Dict[str, Dict[str, Sequence[Point]]]:
    """For each kind of split, groups of points by their names."""
    kept = [point for point in tried.points if all(item.violation(point.figures) <= 0 for item in tried.thresholds)]
    missed = [point for point in tried.points if point not in kept]
    return {
        "the search's split": {**({_MISSED: missed} if missed else {}), _TRIALS: kept, _BASELINE: [tried.baseline]},
        "other splits": {_FRONTIER: confirmed.front, _BASELINE: [confirmed.baseline]},
    }


def _coordinates(group: Sequence[Point], cost: str) -> Tuple[List[float], List[float], List[float]]:
    """Costs, scores in per cent, and standard deviations of the scores over splits, 0 for a single split."""
    deviations = [100 * (point.figures.get("score_deviation") or 0.0) for point in group]
    return [point.figures[cost] for point in group], [100 * point.figures[SCORE] for point in group], deviations


def _by_cost(groups: Mapping[str, Sequence[Point]], cost: str) -> Dict[str, List[Point]]:
    """The groups with their points sorted by a cost, the order in which a line joins them."""
    return {label: sorted(group, key=lambda point: point.figures[cost]) for label, group in groups.items()}
