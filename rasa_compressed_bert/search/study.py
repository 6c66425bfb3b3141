"""The contents of a study: its goal, the figures of trials, and those of candidates on other splits."""

from __future__ import annotations

import collections
import hashlib
import json
import logging
from typing import Any, Callable, Dict, List, Literal, Mapping, NamedTuple, Optional, Sequence, Tuple

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from rasa_compressed_bert.errors import CompressedBertError, ConfigError
from rasa_compressed_bert.search.frontier import Point, averaged
from rasa_compressed_bert.search.goals import SCORE, Threshold, are_figures
from rasa_compressed_bert.search.signals import interruptible
from rasa_compressed_bert.search.space import Space, decoded, encoded
from rasa_compressed_bert.search.workers import REASON

logger = logging.getLogger(__name__)
FIGURES, QUICK, BASELINE = "figures", "quick", "baseline"
_MADE_FROM, _COSTS, _MAXIMIZE = "made_from", "costs", "maximize"
Measure = Callable[..., Any]
"""See `Evaluator.measure`."""


class Goal(NamedTuple):
    """The goal of a search.

    Attributes:
        space: the search space.
        costs: minimised, while the score is maximised.
        thresholds: conditions that a model must meet.
        made_from: a digest of data, configuration and space; a stored study with another digest is refused.
        maximize: the score that is maximised; None means the component's default.
    """

    space: Space
    costs: Tuple[str, ...]
    thresholds: Tuple[Threshold, ...]
    made_from: str
    maximize: Optional[str] = None


class TrialFailed(Exception):
    """A trial failed; the message is the reason."""


def digest(*parts: Any) -> str:
    """A SHA-256 digest of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def has_study(storage: BaseStorage, name: str) -> bool:
    """Whether a storage has a study of that name with at least one measurement or trial.

    Raises:
        ConfigError: if Optuna cannot read the study.
    """
    try:
        if name not in optuna.get_all_study_names(storage):
            return False
        study = optuna.load_study(study_name=name, storage=storage)
        return BASELINE in study.user_attrs or bool(study.get_trials(deepcopy=False))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:  # invalid JSON or parameters
        raise foreign(name) from error


def open_study(storage: BaseStorage, goal: Goal, *, name: str) -> optuna.Study:
    """Opens the study of a storage, or creates it.

    Raises:
        ConfigError: if it was made with other data, another configuration, another space or other costs, or by another
            program.
    """
    is_new = not has_study(storage, name)
    directions: List[Literal["minimize", "maximize"]] = ["maximize"]
    directions += ["minimize"] * len(goal.costs)
    study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
    if is_new:
        study.set_user_attr(_MADE_FROM, goal.made_from)
        study.set_user_attr(_COSTS, list(goal.costs))
        study.set_user_attr(_MAXIMIZE, goal.maximize)
    own, costs = study.user_attrs.get(_MADE_FROM), study.user_attrs.get(_COSTS)
    if own is None or not isinstance(costs, list):
        raise foreign(name)
    if own != goal.made_from:
        raise ConfigError(
            f"search: the study '{name}' was made with other data, another config.yml or another space; "
            "choose another --out or --name"
        )
    if costs != list(goal.costs):
        raise ConfigError(
            f"--minimize: the study '{name}' minimises {','.join(map(str, costs))}; choose these, or another --name"
        )
    maximized = study.user_attrs.get(_MAXIMIZE)
    if maximized != goal.maximize:
        theirs = maximized or "the score of the component"
        raise ConfigError(f"--maximize: the study '{name}' maximises {theirs}; choose this, or another --name")
    if [direction.name.lower() for direction in study.directions] != directions:
        raise foreign(name)
    return study


def foreign(name: str) -> ConfigError:
    """The error for a study that another program has made or written to."""
    return ConfigError(
        f"search: the study '{name}' was made or changed by another program; choose another --out or --name"
    )


def baseline_of(study: optuna.Study, measure: Measure) -> Point:
    """The figures of the unchanged config.yml, measured by the first worker and read by the others."""
    if BASELINE not in study.user_attrs:
        with interruptible():
            figures = measure({}).to_dict()
        if BASELINE not in study.user_attrs:  # else another worker was quicker
            study.set_user_attr(BASELINE, figures)
    return Point(-1, _figures(study, study.user_attrs[BASELINE]), {})


def add_starts(study: optuna.Study, goal: Goal, values_with: Callable[..., Mapping[str, Any]], *, most: int) -> None:
    """Adds the first trials: the unchanged config.yml, and each other choice of each list, changed one at a time.

    Options that the config.yml leaves out have the defaults that go with the changed option.

    Args:
        study: a study whose baseline is measured.
        goal: the goal of the search.
        values_with: see `Evaluator.values_with`.
        most: maximal number of trials of the study.
    """
    known = study.get_trials(deepcopy=False)
    baseline = _params(goal, values_with, {})
    if baseline and not any(is_baseline(trial) for trial in known):
        figures = study.user_attrs[BASELINE]
        values = [figures[SCORE], *(figures[cost] for cost in goal.costs)]
        own = {FIGURES: figures, BASELINE: True}
        distributions = dict(goal.space)
        study.add_trial(
            optuna.create_trial(params=baseline, distributions=distributions, values=values, user_attrs=own)
        )
    lists = {name: values.choices for name, values in goal.space.items() if isinstance(values, CategoricalDistribution)}
    changes = [decoded({name: choice}) for name, choices in lists.items() for choice in choices]
    others = [params for change in changes if (params := _params(goal, values_with, change)) and params != baseline]
    for params in others[: max(0, most - len(known))]:
        study.enqueue_trial(params, skip_if_exists=True)


def _params(goal: Goal, values_with: Callable[..., Any], options: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Optuna's parameters for options; None if they contradict each other, or are not in the space."""
    try:
        values = values_with(options)
        params = {name: encoded(values[name]) for name in goal.space}
    except (KeyError, ConfigError):
        return None
    return params if _within(params, goal.space) else None


def _within(params: Mapping[str, Any], space: Space) -> bool:
    """Whether parameters are in a space, which a study itself does not check."""
    try:
        optuna.create_trial(state=TrialState.WAITING, params=dict(params), distributions=dict(space))
    except (ValueError, TypeError, KeyError):
        return False
    return True


def options_of(study: optuna.Study, trial: Any, space: Space) -> Dict[str, Any]:
    """The options of a trial.

    Raises:
        ConfigError: if they are not in the space: whoever can write to a storage could otherwise choose any weights.
    """
    if not _within(trial.params, space):
        raise foreign(study.study_name)
    return decoded(trial.params)


def _figures(study: optuna.Study, value: Any) -> Mapping[str, Any]:
    if not are_figures(value):
        raise foreign(study.study_name)
    return value


def require_own(study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
    """Refuses figures in a form that this command does not write.

    Raises:
        ConfigError: if a trial has such figures.
    """
    for trial in trials:
        for name in {FIGURES, QUICK} & set(trial.user_attrs):
            _figures(study, trial.user_attrs[name])


def is_baseline(trial: FrozenTrial) -> bool:
    """Whether a trial is the unchanged config.yml, which does not count as one of the requested trials."""
    return bool(trial.user_attrs.get(BASELINE))


def points_of(study: optuna.Study, space: Space) -> List[Point]:
    """The trials that were trained in full.

    Raises:
        ConfigError: if one of them has options outside the space, or invalid figures.
    """
    return [
        Point(trial.number, _figures(study, trial.user_attrs[FIGURES]), options_of(study, trial, space))
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if FIGURES in trial.user_attrs and not is_baseline(trial)
    ]


def tried_of(study: optuna.Study, space: Space) -> List[Point]:
    """All trials that were measured, including pruned ones with the figures of their quick training.

    Raises:
        ConfigError: see `points_of`.
    """
    return [
        Point(
            trial.number,
            _figures(study, trial.user_attrs.get(FIGURES) or trial.user_attrs[QUICK]),
            options_of(study, trial, space),
        )
        for trial in study.get_trials(deepcopy=False)
        if FIGURES in trial.user_attrs or QUICK in trial.user_attrs
    ]


def confirmed(
    study: optuna.Study,
    points: Sequence[Point],
    measure: Measure,
    *,
    splits: Sequence[int],
    on_measured: Callable[[], None],
) -> List[Point]:
    """Models with figures on other splits of the data; stored figures are not measured again.

    The best score of a search is partly luck on the search's own split, so that split is not used here. A model that
    cannot be trained on one of the splits is left out, with a warning.

    Args:
        study: of `open_study`.
        points: models with figures on the search's own split.
        measure: see `Evaluator.measure`.
        splits: numbers of one or more splits, without 0, the search's own.
        on_measured: called after every measurement.

    Raises:
        CompressedBertError: if the unchanged config.yml cannot be trained.
    """
    found = []
    for point in points:
        try:
            figures = [_on_split(study, point, split, measure, on_measured) for split in splits]
        except TrialFailed as failure:
            name = "the unchanged config.yml" if point.number < 0 else f"trial {point.number}"
            if point.number < 0:
                raise CompressedBertError(f"search: {name} cannot be trained on another split: {failure}") from failure
            logger.warning(f"search: {name} cannot be trained on another split, and is left out: {failure}")
            continue
        found.append(point._replace(figures=averaged(point.figures, figures)))
    return found


def figures_of(measure: Measure, options: Mapping[str, Any], **given: Any) -> Any:
    """The figures of options as JSON values; None if `measure` returns None.

    Raises:
        TrialFailed: if measuring fails in any way.
    """
    try:
        with interruptible():
            found = measure(options, **given)
    except Exception as error:  # due to the options, TensorFlow or the machine: the next trial may work
        raise TrialFailed(" ".join(f"{type(error).__name__}: {error}".split())) from error
    return None if found is None else found.to_dict()


def _on_split(
    study: optuna.Study, point: Point, split: int, measure: Measure, on_measured: Callable[[], None]
) -> Mapping[str, Any]:
    name = f"disjoint split {split} of trial {point.number}"
    if name not in study.user_attrs:
        study.set_user_attr(name, figures_of(measure, point.options, split=split))
    on_measured()
    return _figures(study, study.user_attrs[name])


def reasons_of(trials: Sequence[FrozenTrial]) -> str:
    """Why trials were not finished: the three most frequent reasons."""
    counts = collections.Counter(str(trial.user_attrs[REASON]) for trial in trials if REASON in trial.user_attrs)
    return " ".join(f"{count} times: {reason}" for reason, count in counts.most_common(3))
