"""The search itself: Optuna proposes options, trials are trained and measured, on one machine or on many.

Every worker asks one storage for the next trial and tells it what came of it. A worker says that it is alive while it
works; a trial of one that has been silent for long is given to another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from rasa_compressed_bert.errors import CompressedBertError, ConfigError
from rasa_compressed_bert.search.frontier import Point, averaged, dominates
from rasa_compressed_bert.search.goals import SCORE, Measured, Threshold
from rasa_compressed_bert.search.space import Space

logger = logging.getLogger(__name__)
FIGURES, REASON, BASELINE = "figures", "reason", "baseline"
_ALIVE, _QUICK, _MADE_FROM, _AGAIN = "alive", "quick", "made_from", "again"
_BEAT, _SILENCE = 10.0, 60.0  # seconds
_STARTUP = 10  # random trials, before the sampler has something to learn from
_KNOWN_GAINS = 3  # whole trainings, before a quick one is trusted to say that a trial is hopeless
_WORST = 1e6
Measure = Callable[..., Measured]


class Goal(NamedTuple):
    """What is searched for.

    Attributes:
        space: what may be tried.
        costs: what is minimised beside the score that is maximised.
        thresholds: what a model must not miss.
        made_from: a digest of data, configuration and space: a storage with another study is refused.
    """

    space: Space
    costs: Tuple[str, ...]
    thresholds: Tuple[Threshold, ...]
    made_from: str


def digest(*parts: Any) -> str:
    """Of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def open_storage(storage: str) -> BaseStorage:
    """A journal file, or a database by its address, as in `sqlite:///study.db` or `postgresql://...`.

    Raises:
        CompressedBertError: if it cannot be reached.
    """
    try:
        if "://" in storage:
            return RDBStorage(storage)
        Path(storage).parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(storage))
    except Exception as error:  # of SQLAlchemy, of its drivers, of the file system
        reason = [*str(error).strip().splitlines(), repr(error)][0]
        raise CompressedBertError(f"--storage: '{storage}' cannot be reached: {reason}") from error


def has_study(storage: BaseStorage, name: str) -> bool:
    """Whether a storage has a study of that name."""
    return name in optuna.get_all_study_names(storage)


def open_study(storage: BaseStorage, goal: Goal, *, name: str, sampler: str = "tpe", seed: int = 0) -> optuna.Study:
    """The study of a storage; made if it is not there.

    Raises:
        ConfigError: if it was made with other data, another configuration or another space.
    """
    samplers = {
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        sampler=samplers[sampler](),
        directions=["maximize", *("minimize" for _ in goal.costs)],
        load_if_exists=True,
    )
    before = study.user_attrs.get(_MADE_FROM)
    if before is None:
        study.set_user_attr(_MADE_FROM, goal.made_from)
    elif before != goal.made_from:
        raise ConfigError(
            f"search: the study '{name}' was made with other data, another config.yml or another space; "
            "give this one another --out or --name"
        )
    return study


def baseline_of(study: optuna.Study, measure: Measure) -> Point:
    """What the config.yml gives as it is: measured by the first worker, and read by the others."""
    if BASELINE not in study.user_attrs:
        figures = measure({}).to_dict()
        if BASELINE not in study.user_attrs:  # of a worker that was quicker
            study.set_user_attr(BASELINE, figures)
    return Point(-1, study.user_attrs[BASELINE], {})


def search(
    study: optuna.Study,
    goal: Goal,
    measure: Measure,
    *,
    trials: int,
    timeout: Optional[float] = None,
    trial_timeout: Optional[float] = None,
    tell: Callable[[List[FrozenTrial]], None] = lambda trials: None,
) -> None:
    """Tries options until the study has so many trials, or the time is over.

    Args:
        study: of `open_study`.
        goal: what is searched for.
        measure: trains and measures options, see `Evaluator.measure`.
        trials: in all, those of other workers and of earlier calls included.
        timeout: seconds; the trial that runs then is finished.
        trial_timeout: seconds, after which a trial has failed.
        tell: is told after every trial.
    """
    end = None if timeout is None else time.monotonic() + timeout
    while end is None or time.monotonic() < end:
        _take_over(study)
        counted = [trial for trial in study.get_trials(deepcopy=False) if not trial.user_attrs.get(_AGAIN)]
        waiting = [trial for trial in counted if trial.state == TrialState.WAITING]
        if len(counted) >= trials and not waiting:
            return
        trial = study.ask(dict(goal.space))
        try:
            with _Alive(trial):
                _run(study, trial, goal, measure, trial_timeout)
        except optuna.exceptions.UpdateFinishedTrialError:
            logger.warning(f"search: trial {trial.number} was taken over meanwhile; what came of it is not kept.")
        except KeyboardInterrupt:
            _give_back(study, trial._trial_id, trial.params, "interrupted")
            raise
        tell(study.get_trials(deepcopy=False))


def points_of(study: optuna.Study) -> List[Point]:
    """The trials that were trained in full."""
    return [
        Point(trial.number, trial.user_attrs[FIGURES], trial.params)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if FIGURES in trial.user_attrs
    ]


def confirmed(
    study: optuna.Study, points: Sequence[Point], measure: Measure, *, splits: int, tell: Callable[[], None]
) -> List[Point]:
    """Models with figures of several splits of the messages; what the storage has of them is not measured again.

    A search's best score is partly the luck of its split. This takes it out: see `frontier.averaged`.

    Args:
        study: of `open_study`.
        points: of the study's own split.
        measure: see `Evaluator.measure`.
        splits: in all.
        tell: is told after every measurement.
    """

    def figures_of(point: Point, split: int) -> Mapping[str, Any]:
        if split == 0:
            return point.figures
        name = f"split {split} of trial {point.number}"
        if name not in study.user_attrs:
            study.set_user_attr(name, measure(point.options, split=split).to_dict())
        tell()
        return study.user_attrs[name]

    return [point._replace(figures=averaged([figures_of(point, split) for split in range(splits)])) for point in points]


def _run(study: optuna.Study, trial: Trial, goal: Goal, measure: Measure, trial_timeout: Optional[float]) -> None:
    """A quick training, and a whole one unless that is hopeless; what fails is marked, and learnt from."""
    try:
        with _limited(trial_timeout):
            quick = measure(trial.params, quick=True).to_dict()
            trial.set_user_attr(_QUICK, quick)
            hopeless = _hopeless(study, quick, goal.costs)
            figures = None if hopeless else measure(trial.params).to_dict()
    except optuna.exceptions.UpdateFinishedTrialError:
        raise
    except Exception as error:  # of the options, of TensorFlow, of the machine: the next ones may work
        trial.set_user_attr(REASON, " ".join(f"{type(error).__name__}: {error}".split()))
        trial.set_constraint("trained", _WORST)
        study.tell(trial, [0.0, *(_WORST for _ in goal.costs)])
        return
    if figures is None:
        trial.set_user_attr(REASON, "hopeless: even with the largest gain so far, another trial is better")
        study.tell(trial, state=TrialState.PRUNED)
        return
    trial.set_user_attr(FIGURES, figures)
    for threshold in goal.thresholds:
        trial.set_constraint(str(threshold), min(threshold.violation(figures), _WORST))
    study.tell(trial, [figures[SCORE], *(figures[cost] for cost in goal.costs)])


@contextlib.contextmanager
def _limited(seconds: Optional[float]) -> Iterator[None]:
    """Raises `TimeoutError` in what takes longer; where there is no alarm clock (Windows, other threads) it waits."""
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError(f"longer than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _hopeless(study: optuna.Study, quick: Mapping[str, Any], costs: Sequence[str]) -> bool:
    """Whether a finished trial dominates this one even if it gains as much by more epochs as any has gained yet."""
    finished = [
        (trial.user_attrs[_QUICK], trial.user_attrs[FIGURES])
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if FIGURES in trial.user_attrs and _QUICK in trial.user_attrs
    ]
    if len(finished) < _KNOWN_GAINS:
        return False
    gain = max(whole[SCORE] - before[SCORE] for before, whole in finished)
    hoped: Dict[str, Any] = {**quick, SCORE: min(1.0, quick[SCORE] + max(gain, 0.0))}
    return any(dominates(whole, hoped, costs) for _, whole in finished)


class _Alive:
    """Writes the time to a trial while it runs."""

    def __init__(self, trial: Trial):
        self._trial, self._over = trial, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self._trial.set_user_attr(_ALIVE, time.time())
        self._thread.start()

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(_BEAT):
            try:
                self._trial.set_user_attr(_ALIVE, time.time())
            except Exception as error:  # the storage is away for a moment, or for good: the trial's end will tell
                logger.warning(f"search: the storage cannot be written: {error}")


def _take_over(study: optuna.Study) -> None:
    """Gives trials of workers that have been silent for long back to the study, each once."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if time.time() - trial.user_attrs.get(_ALIVE, trial.datetime_start.timestamp()) >= _SILENCE:
            _give_back(study, trial._trial_id, trial.params, "its worker fell silent")


def _give_back(study: optuna.Study, trial_id: int, options: Mapping[str, Any], reason: str) -> None:
    """Ends a trial without a result, and puts its options where the next worker finds them."""
    storage = study._storage
    try:
        for name, value in {REASON: reason, _AGAIN: True}.items():
            storage.set_trial_user_attr(trial_id, name, value)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except optuna.exceptions.UpdateFinishedTrialError:  # another worker was quicker, or it was finished after all
        return
    study.enqueue_trial(dict(options))
