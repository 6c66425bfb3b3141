"""The results of a search: the frontier measured again, files, plots, and the chosen models."""

from __future__ import annotations

import argparse
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from rasa_compressed_bert.commands.options import write
from rasa_compressed_bert.commands.project import Project
from rasa_compressed_bert.errors import CompressedBertError

_NONE = {
    "best": "no model is at most as large as the baseline",
    "smaller_and_better": "no model is both smaller and better than the baseline",
    "smallest": "no model keeps the score of the baseline",
    "fastest": "no model is within --within of the score of the baseline",
}
"""The choices, each with the reason why a search may have no model for it."""
PICKS = tuple(_NONE)
TRIALS, FRONTIER = "trials.csv", "pareto.json"
_PLOT, _PAGE, _IMPORTANCES, _TABLES = "frontier.png", "frontier.html", "importance.png", "picked.md"
RESULTS = (TRIALS, FRONTIER, _PLOT, _PAGE, _IMPORTANCES, _TABLES)
"""The files of a study in its folder."""


def conclude(
    opened: Any, goal: Any, baseline: Any, evaluator: Any, project: Project, arguments: argparse.Namespace
) -> None:
    """Writes the results of a study, and trains the chosen models."""
    from rasa_compressed_bert.reporting.blocks import Prose, Table
    from rasa_compressed_bert.reporting.tables import markdown_table
    from rasa_compressed_bert.reporting.terminal import show
    from rasa_compressed_bert.search import report, study
    from rasa_compressed_bert.search.frontier import finalists, pareto, picks, require_some
    from rasa_compressed_bert.search.goals import size_of

    study.require_own(opened, opened.get_trials(deepcopy=False))
    out, points, size = arguments.out, study.points_of(opened, goal.space), size_of(goal.costs)
    report.write_trials(opened, out / TRIALS)
    if not points and goal.thresholds:
        require_some([], study.tried_of(opened, goal.space), goal.thresholds)
    if not points:
        reasons = study.reasons_of(opened.get_trials(deepcopy=False))
        raise CompressedBertError(f"search: no trial was finished. {reasons}".strip())
    limits = {"within": arguments.within, "size": size}
    axes = tuple(dict.fromkeys((*goal.costs, "latency_ms", size)))  # the costs that models are chosen by
    front = pareto([*points, baseline], axes, goal.thresholds)
    require_some(front, [*points, baseline], goal.thresholds)
    found, count = finalists(front, baseline, **limits), arguments.splits
    tried = report.Tried(points, baseline, goal.thresholds)
    models = _confirmed(opened, baseline, found, evaluator, range(1, count + 1), what="measuring again to choose")
    baseline, *_ = models
    front = pareto(models, axes, goal.thresholds)
    require_some(front, models, goal.thresholds, where=" on the other splits of the data")
    picked = picks(front, baseline, **limits)
    reported = _reported(opened, baseline, picked, evaluator, range(count + 1, 2 * count + 1))
    confirmed, shares = report.Confirmed(front, baseline, reported), report.importances(opened)
    report.write_frontier(confirmed, out / FRONTIER, study=arguments.name, made_from=goal.made_from)
    report.plot_frontier(tried, confirmed, goal.costs, out / _PLOT)
    report.write_html(tried, confirmed, goal.costs, shares, out / _PAGE)
    if shares:
        report.plot_importances(shares, out / _IMPORTANCES)
    rows, scores = report.picked_rows(reported, size=size), report.score_rows(reported)
    (out / _TABLES).write_text(f"{markdown_table(rows)}\n\n{markdown_table(scores)}\n", encoding="utf-8")
    show([Table(rows, left=2), Prose(report.legend(rows)), Prose(""), Table(scores), Prose("")])
    _train_picked(reported, project, arguments)


def _confirmed(
    opened: Any, baseline: Any, points: Sequence[Any], evaluator: Any, splits: Sequence[int], *, what: str
) -> List[Any]:
    """The baseline and the points, without duplicates, measured on other splits than those of the search."""
    from rasa_compressed_bert.reporting.progress import progress
    from rasa_compressed_bert.search import study

    models = list({point.number: point for point in (baseline, *points)}.values())
    with progress(what, len(models) * len(splits), unit="trainings") as work:
        return study.confirmed(opened, models, evaluator.measure, splits=splits, on_measured=work.advance)


def _reported(opened: Any, baseline: Any, picked: Mapping[str, Any], evaluator: Any, splits: Sequence[int]) -> Any:
    """The baseline and the choices, by name, with figures from splits that were not used for choosing."""
    chosen = [point for point in picked.values() if point is not None]
    models = _confirmed(opened, baseline, chosen, evaluator, splits, what="measuring again to report")
    of = {point.number: point for point in models}
    return {"baseline": models[0], **{name: point and of.get(point.number) for name, point in picked.items()}}


def _train_picked(picked: Mapping[str, Any], project: Project, arguments: argparse.Namespace) -> None:
    """Writes a config.yml and a model for each choice; a model that is chosen twice is trained once.

    Models are trained in a folder of this process, as several processes may conclude a study at once.
    """
    own, shared = arguments.out / f"picked.{secrets.token_hex(8)}", arguments.out / "picked"
    try:
        for name in PICKS if arguments.pick is None else (arguments.pick,):
            point = picked[name]
            if point is None:
                shutil.rmtree(str(shared / name), ignore_errors=True)  # from an earlier choice
                write(f"{name}: none, {_NONE[name]} on the splits to choose on.\n")
                continue
            trained = own / str(point.number)
            if not trained.exists():
                _write_config(project.with_options(point.options), trained)
                if arguments.nlu:
                    _train(trained, arguments.nlu)
            _move(Path(shutil.copytree(str(trained), str(own / name))), shared / name)
            files = "config.yml and model.tar.gz" if arguments.nlu else "config.yml; add --nlu to train a model, too"
            write(f"Written: {shared / name}, {files}\n")
    finally:
        shutil.rmtree(str(own), ignore_errors=True)


def _move(folder: Path, target: Path) -> None:
    """Replaces an earlier choice by a finished one, unless another process of the study has done so."""
    target.parent.mkdir(exist_ok=True)
    shutil.rmtree(str(target), ignore_errors=True)
    try:
        folder.rename(target)
    except OSError:
        if not all((target / file.name).is_file() for file in folder.iterdir()):
            raise


def _write_config(config: Dict[str, Any], folder: Path) -> None:
    from rasa.shared.utils.io import write_yaml

    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(config, folder / "config.yml")


def _train(folder: Path, nlu: Path) -> None:
    """Trains a model on all data with `rasa train nlu` and the config.yml of a folder."""
    command = [sys.executable, "-m", "rasa", "train", "nlu", "--config", str(folder / "config.yml"), "--nlu", str(nlu)]
    options = ["--out", str(folder), "--fixed-model-name", "model"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode or not (folder / "model.tar.gz").is_file():
        output = (done.stdout + done.stderr).splitlines()[-8:]
        raise CompressedBertError("\n".join(["`rasa train nlu` failed:", *output]))
