"""`search`: the best options of a component for some data, and models trained with them."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import Any, List

from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import make_folder, natural, not_empty, not_negative, positive, seconds
from rasa_compressed_bert.commands.project import Project, read_project, read_yaml
from rasa_compressed_bert.commands.search_results import FRONTIER, PICKS, RESULTS, TRIALS, conclude
from rasa_compressed_bert.commands.trainable import require_trainable
from rasa_compressed_bert.errors import CompressedBertError, ConfigError, RuntimeMissingError


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    search = add_command(
        commands,
        "search",
        run=run,
        help="find the options that are best for your data: score against latency and size",
        description="Varies options of the component in a config.yml, trains and measures it with each, and writes the "
        "Pareto frontier, plots, and a config.yml and a trained model for each choice. With --resume it continues an "
        "earlier search; with --storage it runs on several machines at once.",
        examples=[
            "search --nlu data/nlu.yml --config config.yml",
            "search --nlu data/nlu.yml --config config.yml --threshold 'macro_f1 >= 0.9' --minimize size_mb",
            "search --nlu data/nlu.yml --config config.yml --resume",
            "search --questions squad.json --config config.yml --threshold 'exact >= 0.5'",
        ],
    )
    search.add_argument(
        "--nlu",
        type=Path,
        metavar="TRAIN.yml",
        help="training data; with --questions that of the other components, to train the chosen models as well",
    )
    search.add_argument(
        "--questions",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="questions in the format of SQuAD 2.0, to vary the options of a BertAnswerExtractor; they replace its "
        "option training_data",
    )
    search.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="CONFIG.yml",
        help="a pipeline with one component of this package that learns from messages, or from questions",
    )
    search.add_argument(
        "--space",
        type=Path,
        metavar="SPACE.yml",
        help="the options to vary, under the key `search:` (default: those that matter most)",
    )
    search.add_argument(
        "--maximize",
        metavar="SCORE",
        help="macro_f1 or accuracy of intents, entity_f1, exact or f1 of answers (default: macro_f1, entity_f1, their "
        "mean for a component with both, or exact)",
    )
    search.add_argument(
        "--minimize",
        default="latency_ms,size_mb",
        metavar="COST[,COST]",
        help="latency_ms, size_mb or parameters, one or two",
    )
    search.add_argument(
        "--threshold",
        action="append",
        metavar="'METRIC >= VALUE'",
        help="a condition that a model must meet to be chosen; may be given several times",
    )
    search.add_argument(
        "--trials", type=positive, default=40, metavar="N", help="number of trials, including those before --resume"
    )
    search.add_argument("--timeout", type=seconds, metavar="SECONDS", help="start no trial after this time")
    search.add_argument(
        "--trial-timeout",
        type=seconds,
        metavar="SECONDS",
        help="stop a trial after this time, which includes the training of its dense BERT",
    )
    search.add_argument("--resume", action="store_true", help="continue a search that was stopped")
    search.add_argument(
        "--storage",
        type=not_empty,
        help="where trials are stored: a journal file, or a database such as postgresql://... (default: in --out)",
    )
    search.add_argument("--name", default="search", help="name of the search in its storage")
    search.add_argument(
        "--sampler", choices=("tpe", "random"), default="tpe", help="what proposes the options of a trial"
    )
    search.add_argument(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="seed of the sampler; with --storage each worker adds a random one",
    )
    search.add_argument(
        "--pick",
        choices=PICKS,
        metavar="CHOICE",
        help=f"run no more trials, and train only this model of the search: {', '.join(PICKS)}",
    )
    search.add_argument(
        "--within", type=not_negative, default=0.01, metavar="SCORE", help="how much score the fastest model may lose"
    )
    search.add_argument(
        "--splits",
        type=positive,
        default=2,
        metavar="N",
        help="number of further splits of the data into training and test messages, on which the best trials are "
        "trained and measured again; as many more are used for the reported figures",
    )
    search.add_argument("--out", type=Path, default=Path("study"), metavar="FOLDER", help="folder for results")


def run(arguments: argparse.Namespace) -> None:
    """Searches for the best options of a component for some data."""
    try:
        import optuna
        import plotly  # noqa: F401, to fail at the start if it is missing

        from rasa_compressed_bert.search import study
        from rasa_compressed_bert.search.dotted import with_text_names
        from rasa_compressed_bert.search.evaluation import Evaluator
        from rasa_compressed_bert.search.goals import read_costs, read_thresholds, require_measured, require_scores
        from rasa_compressed_bert.search.report import require_folder_of
        from rasa_compressed_bert.search.storage import open_storage, storage_errors
    except ImportError as error:
        raise RuntimeMissingError("search needs Optuna: pip install 'rasa_compressed_bert[search]'") from error

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    given = _search_section(arguments.space) if arguments.space else None
    varied = given if isinstance(given, dict) else ()
    project = read_project(arguments.config, arguments.nlu, arguments.questions, varied=varied)
    space = _space(given, project)
    costs, thresholds = read_costs(arguments.minimize.split(",")), read_thresholds(arguments.threshold or ())
    require_scores(arguments.maximize, thresholds, project.config_class)
    if arguments.nlu is not None:  # the chosen models are trained in the end
        require_trainable(project.config, path=arguments.config, nlu=arguments.nlu)
    ranges = {name: repr(values) for name, values in space.items()}
    made_from = study.digest(with_text_names(project.config), *project.data, ranges)
    goal = study.Goal(space, costs, thresholds, made_from, arguments.maximize)
    evaluator = Evaluator(
        _task(project, arguments.out), project.config_class, project.options, maximize=arguments.maximize
    )
    make_folder(arguments.out, files=RESULTS)
    try:
        address = arguments.storage or str(arguments.out / "journal.log")
        with storage_errors(address):
            storage = open_storage(address)
            _require_meant(study.has_study(storage, arguments.name), arguments)
            opened = study.open_study(storage, goal, name=arguments.name)
            require_folder_of(arguments.name, arguments.out / FRONTIER, made_from=made_from)
            baseline = study.baseline_of(opened, lambda options: _measured(evaluator, options))
            require_measured(baseline.figures, thresholds, costs)
            if arguments.pick is None:
                study.add_starts(opened, goal, evaluator.values_with, most=arguments.trials)
                _search(opened, goal, evaluator, arguments)
            conclude(opened, goal, baseline, evaluator, project, arguments)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("Finished trials are kept; --resume continues from them.") from stop


def _measured(evaluator: Any, options: Any) -> Any:
    """Trains and measures one model, and shows that."""
    from rasa_compressed_bert.reporting.progress import progress

    with progress("measuring config.yml", 1, unit="models") as work:
        figures = evaluator.measure(options)
        work.advance()
    return figures


def _task(project: Project, out: Path) -> Any:
    """The task that trials are trained for and measured on: questions, or messages."""
    from rasa_compressed_bert.data.documents import read_documents
    from rasa_compressed_bert.data.known_values import NO_VALUES
    from rasa_compressed_bert.search.answer_task import AnswerTask
    from rasa_compressed_bert.search.message_task import MessageTask

    if not project.questions:
        cache = out / "teachers" / project.environment_digest[:16]
        return MessageTask(project.examples, cache=cache, known=project.known or NO_VALUES)
    folder = project.options.get("documents")
    documents = read_documents(folder, option="documents") if folder else []
    return AnswerTask(project.questions, texts=[document.text for document in documents])


def _space(given: Any, project: Project) -> Any:
    """The search space, the default one if none is given; warns of contradictions in it."""
    from rasa_compressed_bert.search.space import default_space, read_space, require_possible

    if given is None:
        space = default_space(project.config_class, project.options)
    else:
        space = read_space(given, project.config_class)
    require_possible(space, project.config_class, project.options)
    return space


def _require_meant(exists: bool, arguments: argparse.Namespace) -> None:
    """Checks that a study exists if it is to be continued, and not otherwise, unless a storage is given."""
    from rasa_compressed_bert.search.storage import shown

    option = "--resume" if arguments.resume else "--pick" if arguments.pick else None
    if option and not exists:
        where = shown(arguments.storage or str(arguments.out))
        raise CompressedBertError(f"{option}: there is no study '{arguments.name}' in '{where}'; leave {option} out.")
    if exists and not (option or arguments.storage):
        raise CompressedBertError(
            f"--out: '{arguments.out}' has a study already; continue it with --resume, or choose another folder."
        )


def _search(opened: Any, goal: Any, evaluator: Any, arguments: argparse.Namespace) -> None:
    """Runs trials, shows progress, and updates trials.csv."""
    from rasa_compressed_bert.reporting.progress import progress
    from rasa_compressed_bert.search import report
    from rasa_compressed_bert.search.study import FIGURES
    from rasa_compressed_bert.search.trials import Sampler, ended, search

    with progress("search", arguments.trials, unit="trials") as work:

        def on_trial(trials: List[Any]) -> None:
            figures = [trial.user_attrs[FIGURES] for trial in trials if FIGURES in trial.user_attrs]
            if figures:
                best = max(figures, key=lambda figure: figure["score"])
                work.note(f"best score {100 * best['score']:.1f} %, {best['latency_ms']:.2f} ms")
            work.reach(ended(trials))
            report.write_trials(opened, arguments.out / TRIALS)

        limits = {"trials": arguments.trials, "timeout": arguments.timeout, "trial_timeout": arguments.trial_timeout}
        seed = (arguments.seed, secrets.randbits(32)) if arguments.storage else (arguments.seed,)
        sampler = Sampler(arguments.sampler, seed)
        search(opened, goal, evaluator.measure, **limits, sampler=sampler, on_trial=on_trial)


def _search_section(path: Path) -> Any:
    """The search space in a file, not None."""
    values = read_yaml(path)
    if not isinstance(values, dict) or set(values) != {"search"}:
        raise ConfigError(f"--space: '{path}' must have `search:` as its only key at the top level")
    return values["search"] or {}
