"""`search`: the options of a component that are best for some data, and the models that they make."""

from __future__ import annotations

import argparse
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from rasa_compressed_bert.commands.options import make_folder, natural, positive, write
from rasa_compressed_bert.commands.project import Project, read_project, read_yaml
from rasa_compressed_bert.errors import CompressedBertError, ConfigError, RuntimeMissingError

_PICKS = ("best", "smaller_and_better", "smallest", "fastest")


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    search = commands.add_parser(
        "search",
        help="score against latency and size: the best options of a component for your data",
        description="Tries options of the component in a config.yml, trains and measures it with each, and writes the "
        "Pareto frontier, plots, and a config.yml and a trained model for each choice. With --resume it goes on where "
        "an earlier one stopped; with --storage it works on several machines at once.",
    )
    search.set_defaults(run=run)
    search.add_argument("--nlu", type=Path, required=True, metavar="TRAIN.yml", help="training data")
    search.add_argument("--config", type=Path, required=True, metavar="CONFIG.yml", help="with one component of ours")
    search.add_argument("--space", type=Path, metavar="SPACE.yml", help="with `search:`, the options that are varied")
    search.add_argument("--minimize", default="latency_ms,size_mb", help="one or two costs (default: %(default)s)")
    search.add_argument(
        "--threshold", action="append", default=[], metavar="'METRIC >= VALUE'", help="what a model must not miss"
    )
    search.add_argument("--trials", type=positive, default=40, help="in all (default: %(default)s)")
    search.add_argument("--timeout", type=positive, help="seconds; the trial that runs then is finished")
    search.add_argument(
        "--trial-timeout",
        type=positive,
        help="seconds, a dense BERT of its own included, after which a trial failed",
    )
    search.add_argument("--resume", action="store_true", help="go on with a study that was stopped")
    search.add_argument("--storage", help="a journal file, or a database as in postgresql://... (default: in --out)")
    search.add_argument("--name", default="search", help="of the study in its storage (default: %(default)s)")
    search.add_argument("--sampler", choices=("tpe", "random"), default="tpe", help="default: %(default)s")
    search.add_argument(
        "--seed", type=natural, default=0, help="of the sampler; workers of one --storage differ by chance besides"
    )
    search.add_argument("--pick", choices=_PICKS, help="try no other options: train this choice of the study alone")
    search.add_argument("--within", type=float, default=0.01, help="score that the fastest may lose (default: 0.01)")
    search.add_argument(
        "--splits",
        type=positive,
        default=2,
        help="of the data, besides the search's own, on which what may be picked is trained and measured, and as many "
        "others for the figures of what is picked (default: %(default)s)",
    )
    search.add_argument("--out", type=Path, default=Path("study"), help="folder (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """The options of a component that are best for some data."""
    try:
        import optuna
        import plotly  # noqa: F401, so that it is not missing at the end

        from rasa_compressed_bert.search import study
        from rasa_compressed_bert.search.evaluation import Evaluator
        from rasa_compressed_bert.search.goals import read_costs, read_thresholds, require_measured
        from rasa_compressed_bert.search.storage import open_storage, storage_errors
    except ImportError as error:
        raise RuntimeMissingError("search needs Optuna: pip install 'rasa_compressed_bert[search]'") from error

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    project = read_project(arguments.config, arguments.nlu)
    space = _space(arguments.space, project)
    costs, thresholds = read_costs(arguments.minimize.split(",")), read_thresholds(arguments.threshold)
    made_from = study.digest(project.config, *project.data, {name: repr(values) for name, values in space.items()})
    goal = study.Goal(space, costs, thresholds, made_from)
    cache = arguments.out / "teachers" / project.environment_digest[:16]
    evaluator = Evaluator(project.examples, project.config_class, project.options, cache=cache)
    make_folder(arguments.out)
    try:
        place = arguments.storage or str(arguments.out / "journal.log")
        with storage_errors(place):
            storage = open_storage(place)
            _require_meant(study.has_study(storage, arguments.name), arguments)
            opened = study.open_study(storage, goal, name=arguments.name)
            baseline = study.baseline_of(opened, evaluator.measure)
            require_measured(baseline.figures, thresholds, costs)
            if arguments.pick is None:
                study.add_starts(opened, goal, evaluator.values_with, most=arguments.trials)
                _search(opened, goal, evaluator, arguments)
            _conclude(opened, goal, baseline, evaluator, project, arguments)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("What is finished is kept; --resume goes on with it.") from stop


def _space(path: Optional[Path], project: Project) -> Any:
    """What is varied; warns of what contradicts itself in it."""
    from rasa_compressed_bert.search.space import default_space, read_space, require_possible

    if path is None:
        space = default_space(project.config_class, project.options)
    else:
        space = read_space(_search_section(path), project.config_class)
    require_possible(space, project.config_class, project.options)
    return space


def _require_meant(exists: bool, arguments: argparse.Namespace) -> None:
    """Refuses a new study where an old one was meant, and the other way round; a storage that is given is joined."""
    from rasa_compressed_bert.search.storage import shown

    option = "--resume" if arguments.resume else "--pick" if arguments.pick else None
    if option and not exists:
        where = shown(arguments.storage or str(arguments.out))
        raise CompressedBertError(f"{option}: there is no study '{arguments.name}' in '{where}'; leave {option} out.")
    if exists and not (option or arguments.storage):
        raise CompressedBertError(
            f"--out: '{arguments.out}' has a study already; go on with it by --resume, or choose another folder."
        )


def _search(opened: Any, goal: Any, evaluator: Any, arguments: argparse.Namespace) -> None:
    """Shows a bar, and keeps trials.csv in step."""
    from tqdm import tqdm

    from rasa_compressed_bert.search import report
    from rasa_compressed_bert.search.study import FIGURES, is_baseline
    from rasa_compressed_bert.search.trials import Sampler, search

    with tqdm(total=arguments.trials, desc="search", unit="trial", dynamic_ncols=True) as bar:

        def on_trial(trials: List[Any]) -> None:
            figures = [trial.user_attrs[FIGURES] for trial in trials if FIGURES in trial.user_attrs]
            bar.n = min(sum(not is_baseline(trial) for trial in trials), arguments.trials)
            if figures:
                best = max(figure["score"] for figure in figures)
                bar.set_postfix(whole=len(figures), best=f"{best:.3f}", ms=f"{figures[-1]['latency_ms']:.2f}")
            bar.refresh()
            report.write_trials(opened, arguments.out / "trials.csv")

        limits = {"trials": arguments.trials, "timeout": arguments.timeout, "trial_timeout": arguments.trial_timeout}
        seed = (arguments.seed, secrets.randbits(32)) if arguments.storage else (arguments.seed,)
        sampler = Sampler(arguments.sampler, seed)
        search(opened, goal, evaluator.measure, **limits, sampler=sampler, on_trial=on_trial)


def _confirmed(
    opened: Any, baseline: Any, points: Sequence[Any], evaluator: Any, splits: Sequence[int], *, what: str
) -> List[Any]:
    """The baseline and those points, each once, measured on other splits than the search's, with a bar."""
    from tqdm import tqdm

    from rasa_compressed_bert.search import study

    models = list({point.number: point for point in (baseline, *points)}.values())
    with tqdm(total=len(models) * len(splits), desc=what, unit="training", dynamic_ncols=True) as bar:
        return study.confirmed(opened, models, evaluator.measure, splits=splits, on_measured=bar.update)


def _reported(opened: Any, baseline: Any, picked: Mapping[str, Any], evaluator: Any, splits: Sequence[int]) -> Any:
    """The baseline and the choices, by name, with figures of splits that had no part in choosing."""
    chosen = [point for point in picked.values() if point is not None]
    models = _confirmed(opened, baseline, chosen, evaluator, splits, what="splits to report on")
    of = {point.number: point for point in models}
    return {"baseline": models[0], **{name: point and of.get(point.number) for name, point in picked.items()}}


def _conclude(
    opened: Any, goal: Any, baseline: Any, evaluator: Any, project: Project, arguments: argparse.Namespace
) -> None:
    """Writes what came of a study, and trains the choices."""
    from rasa_compressed_bert.reporting.tables import markdown_table, text_table
    from rasa_compressed_bert.search import report, study
    from rasa_compressed_bert.search.frontier import finalists, pareto, picks, require_some

    out, points, within = arguments.out, study.points_of(opened, goal.space), arguments.within
    report.write_trials(opened, out / "trials.csv")
    if not points and goal.thresholds:
        require_some([], study.tried_of(opened, goal.space), goal.thresholds)
    if not points:
        reasons = study.reasons_of(opened.get_trials(deepcopy=False))
        raise CompressedBertError(f"search: no trial was finished. {reasons}".strip())
    axes = tuple(dict.fromkeys((*goal.costs, "latency_ms", "size_mb")))  # what choices are made by
    front = pareto([*points, baseline], axes, goal.thresholds)
    require_some(front, [*points, baseline], goal.thresholds)
    found, count = finalists(front, baseline, within=within), arguments.splits
    tried = report.Tried(points, baseline)
    models = _confirmed(opened, baseline, found, evaluator, range(1, count + 1), what="splits to choose on")
    baseline, *_ = models
    front = pareto(models, axes, goal.thresholds)
    require_some(front, models, goal.thresholds, where=" on the other splits of the data")
    picked = picks(front, baseline, within=within)
    reported = _reported(opened, baseline, picked, evaluator, range(count + 1, 2 * count + 1))
    confirmed, shares = report.Confirmed(front, baseline, reported), report.importances(opened)
    report.write_frontier(confirmed, out / "pareto.json")
    report.plot_frontier(tried, confirmed, goal.costs, out / "frontier.png")
    report.write_html(tried, confirmed, goal.costs, shares, out / "frontier.html")
    if shares:
        report.plot_importances(shares, out / "importance.png")
    rows = report.picked_rows(reported)
    (out / "picked.md").write_text(markdown_table(rows) + "\n", encoding="utf-8")
    write(text_table(rows) + "\n\n")
    _train_picked(reported, project, arguments)


def _train_picked(picked: Mapping[str, Any], project: Project, arguments: argparse.Namespace) -> None:
    """A config.yml and a model for each choice; one that is two choices is trained once.

    They are trained in a folder of this process's own: several may conclude a study at once.
    """
    own, shared = arguments.out / f"picked.{secrets.token_hex(8)}", arguments.out / "picked"
    try:
        for name in _PICKS if arguments.pick is None else (arguments.pick,):
            point = picked[name]
            if point is None:
                shutil.rmtree(str(shared / name), ignore_errors=True)  # of an earlier choice
                write(f"{name}: no model of the study is one.\n")
                continue
            trained = own / str(point.number)
            if not trained.exists():
                _train(project.with_options(point.options), arguments.nlu, trained)
            _move(Path(shutil.copytree(str(trained), str(own / name))), shared / name)
            write(f"Written: {shared / name}, config.yml and model.tar.gz\n")
    finally:
        shutil.rmtree(str(own), ignore_errors=True)


def _move(folder: Path, target: Path) -> None:
    """Puts a finished choice in the place of an earlier one, unless another process of the study is faster."""
    target.parent.mkdir(exist_ok=True)
    shutil.rmtree(str(target), ignore_errors=True)
    try:
        folder.rename(target)
    except OSError:
        if not (target / "model.tar.gz").is_file():
            raise


def _search_section(path: Path) -> Any:
    values = read_yaml(path)
    if not isinstance(values, dict) or set(values) != {"search"}:
        raise ConfigError(f"--space: '{path}' is no map with `search:` alone")
    return values["search"]


def _train(config: Dict[str, Any], nlu: Path, folder: Path) -> None:
    """By Rasa itself, on all the data."""
    from rasa.shared.utils.io import write_yaml

    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(config, folder / "config.yml")
    command = [sys.executable, "-m", "rasa", "train", "nlu", "--config", str(folder / "config.yml"), "--nlu", str(nlu)]
    options = ["--out", str(folder), "--fixed-model-name", "model"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode or not (folder / "model.tar.gz").is_file():
        output = (done.stdout + done.stderr).splitlines()[-8:]
        raise CompressedBertError("\n".join(["`rasa train nlu` failed:", *output]))
