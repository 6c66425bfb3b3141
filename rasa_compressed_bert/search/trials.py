"""The search loop: Optuna proposes options, which are trained and measured on one machine or on many.

Every worker gets its next trial from a shared storage, and writes the result there.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.search.frontier import dominates
from rasa_compressed_bert.search.goals import COSTS, SCORE
from rasa_compressed_bert.search.signals import TooLong, limited
from rasa_compressed_bert.search.study import (
    FIGURES,
    QUICK,
    Goal,
    Measure,
    TrialFailed,
    figures_of,
    foreign,
    is_baseline,
    options_of,
    reasons_of,
    require_own,
)
from rasa_compressed_bert.search.workers import REASON, Alive, Watch, comes_again, give_back

logger = logging.getLogger(__name__)
_STARTUP = 10  # random trials before the sampler uses earlier results
_KNOWN_GAINS = 3  # complete trials that are needed before a quick training can end a trial as hopeless
_NOISE = 0.1  # relative error of a cost that a quick training measures
_WORST = 1e6
_POLL = 1.0  # seconds


class Sampler(NamedTuple):
    """The method that proposes options: Optuna's multi-objective TPE, or random search.

    Attributes:
        kind: `tpe` or `random`.
        seed: random seed; it must differ between workers that share a study.
    """

    kind: str = "tpe"
    seed: Tuple[int, ...] = (0,)

    def after(self, trials: int) -> optuna.samplers.BaseSampler:
        """The sampler of the next trial, seeded with their number, so that a resumed study has new proposals."""
        seed = int(np.random.SeedSequence([*self.seed, trials]).generate_state(1)[0])
        if self.kind == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True)


TPE = Sampler()


def search(
    study: optuna.Study,
    goal: Goal,
    measure: Measure,
    *,
    trials: int,
    sampler: Sampler = TPE,
    timeout: Optional[float] = None,
    trial_timeout: Optional[float] = None,
    on_trial: Callable[[List[FrozenTrial]], None] = lambda trials: None,
) -> None:
    """Runs trials until the study has the given number of finished ones, or the time is over.

    Args:
        study: of `open_study`.
        goal: the goal of the search.
        measure: trains and measures options, see `Evaluator.measure`.
        trials: total number, including those of other workers and of earlier calls.
        sampler: proposes options.
        timeout: seconds after which no trial is started.
        trial_timeout: seconds after which a trial fails.
        on_trial: called after every trial.

    Raises:
        CompressedBertError: if each of the first ten trials has failed.
        ConfigError: if another program has written to the study.
    """
    end = None if timeout is None else time.monotonic() + timeout
    watch = Watch(study)
    while end is None or time.monotonic() < end:
        watch.give_back_lost()
        all_trials = study.get_trials(deepcopy=False)
        require_own(study, all_trials)
        counted = _requested(all_trials)
        _require_no_end_of_failures(counted)
        if len(counted) >= trials and not any(trial.state == TrialState.WAITING for trial in counted):
            if not any(trial.state == TrialState.RUNNING for trial in counted):
                return
            time.sleep(_POLL)  # another worker still runs a trial, which comes back if that worker dies
            continue
        study.sampler = sampler.after(len(counted))
        try:
            trial = study.ask(dict(goal.space))
        except ValueError as error:  # waiting options that are not in the space
            raise foreign(study.study_name) from error
        try:
            with Alive(trial):
                _run(study, trial, goal, measure, trial_timeout)
        except optuna.exceptions.UpdateFinishedTrialError:
            logger.warning(f"search: another worker took over trial {trial.number}; the result of this one is dropped.")
        except KeyboardInterrupt:
            give_back(study, _frozen(study, trial), "interrupted")
            raise
        on_trial(study.get_trials(deepcopy=False))


def ended(trials: Sequence[FrozenTrial]) -> int:
    """The number of requested trials that have ended; waiting and running ones are not counted."""
    return sum(trial.state.is_finished() for trial in _requested(trials))


def _requested(trials: Sequence[FrozenTrial]) -> List[FrozenTrial]:
    """The trials that count towards the requested number: without the baseline and those that were enqueued again."""
    return [trial for trial in trials if not comes_again(trial) and not is_baseline(trial)]


def _run(study: optuna.Study, trial: Trial, goal: Goal, measure: Measure, trial_timeout: Optional[float]) -> None:
    """Runs a quick training and, unless that is hopeless, a complete one; failures are marked for the sampler."""
    options = options_of(study, trial, goal.space)
    end = None if trial_timeout is None else time.monotonic() + trial_timeout

    try:
        figures = _known(study, trial)
        if figures is None:
            with limited(end, trial_timeout):
                quick = figures_of(measure, options, quick=True)
            if quick is not None:
                _require_counted(quick, goal)
                trial.set_user_attr(QUICK, quick)
                reason = _hopeless(study, quick, goal)
                if reason:
                    trial.set_user_attr(REASON, reason)
                    _mark(trial, goal, quick, only=COSTS)
                    _end(study, trial, state=TrialState.PRUNED)
                    return
            with limited(end, trial_timeout):
                figures = figures_of(measure, options, quick=False)
            _require_counted(figures, goal)
    except (TrialFailed, TooLong) as failure:
        trial.set_user_attr(REASON, str(failure))
        trial.set_constraint("trained", _WORST)
        _end(study, trial, [0.0, *(_WORST for _ in goal.costs)])
        return
    trial.set_user_attr(FIGURES, figures)
    missed = [str(threshold) for threshold in goal.thresholds if threshold.violation(figures) > 0]
    if missed:
        trial.set_user_attr(REASON, f"misses {', '.join(missed)}")
    _mark(trial, goal, figures)
    _end(study, trial, [figures[SCORE], *(figures[cost] for cost in goal.costs)])


def _require_counted(figures: Mapping[str, Any], goal: Goal) -> None:
    """Refuses a model whose parameters are not counted, as it would count as the smallest one."""
    if "parameters" in goal.costs and not figures["parameters"]:
        raise TrialFailed("The parameters of spaCy's own models are not counted.")


def _end(study: optuna.Study, trial: Trial, values: Optional[Sequence[float]] = None, **state: Any) -> None:
    try:
        study.tell(trial, values, **state)
    except ValueError as error:  # the trial is already finished
        raise optuna.exceptions.UpdateFinishedTrialError(str(error)) from error


def _frozen(study: optuna.Study, trial: Trial) -> FrozenTrial:
    return study.get_trials(deepcopy=False)[trial.number]


def _known(study: optuna.Study, trial: Trial) -> Optional[Mapping[str, Any]]:
    """The figures of an earlier trial with the same options, which are frequent in a small space."""
    for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if other.params == trial.params and FIGURES in other.user_attrs:
            return other.user_attrs[FIGURES]
    return None


def _mark(trial: Trial, goal: Goal, figures: Mapping[str, Any], *, only: Sequence[str] = ()) -> None:
    """Tells the sampler which thresholds are missed, and by how much."""
    for threshold in goal.thresholds:
        if not only or threshold.metric in only:
            trial.set_constraint(str(threshold), min(threshold.violation(figures), _WORST))


def _require_no_end_of_failures(trials: Sequence[FrozenTrial]) -> None:
    """Stops a search if all of the first trials have failed."""
    finished = [trial for trial in trials if trial.state.is_finished()]
    if len(finished) < _STARTUP or any(FIGURES in trial.user_attrs or QUICK in trial.user_attrs for trial in finished):
        return
    raise CompressedBertError(f"search: the first {len(finished)} trials have failed. {reasons_of(finished)}")


def _hopeless(study: optuna.Study, quick: Mapping[str, Any], goal: Goal) -> Optional[str]:
    """Why more epochs would be wasted, or None.

    A cost clearly misses a threshold, or a complete trial dominates this one even if it gains as much by more epochs as
    any trial has gained so far.
    """
    for threshold in goal.thresholds:
        if threshold.metric in COSTS and threshold.violation(quick) > _NOISE:
            return f"hopeless: it misses {threshold}, whatever its score"
    known = [trial.user_attrs for trial in study.get_trials(deepcopy=False) if FIGURES in trial.user_attrs]
    gains = [own[FIGURES][SCORE] - own[QUICK][SCORE] for own in known if QUICK in own]
    if len(gains) < _KNOWN_GAINS:
        return None
    hoped: Dict[str, Any] = {**quick, SCORE: min(1.0, quick[SCORE] + max(0.0, *gains))}
    kept = [own[FIGURES] for own in known if all(item.violation(own[FIGURES]) <= 0 for item in goal.thresholds)]
    if any(dominates(whole, hoped, goal.costs) for whole in kept):
        return "hopeless: even with the largest gain so far, another trial is better"
    return None
