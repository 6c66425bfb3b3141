"""Heartbeats of workers that share a study: the trial of a dead worker is given to another one.

Clocks of different machines are not compared: a trial is lost if the value that its worker writes has not changed for a
while.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from typing import Any, Dict, Tuple

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

logger = logging.getLogger(__name__)
REASON = "reason"
_ALIVE, _AGAIN, _DEATHS = "alive", "again", "deaths"
_BEAT, _SILENCE = 10.0, 60.0  # seconds
_MOST_DEATHS = 2  # workers that may die with the same options, which are then assumed to be the cause


class Alive:
    """A context manager that writes a heartbeat for a trial."""

    def __init__(self, trial: Trial):
        self._trial, self._over = trial, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self._trial.set_user_attr(_ALIVE, 0)
        self._thread.start()

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        for beat in itertools.count(1):
            if self._over.wait(_BEAT):
                return
            try:
                self._trial.set_user_attr(_ALIVE, beat)
            except optuna.exceptions.UpdateFinishedTrialError:
                return  # another worker has taken the trial over, which is noticed at its end
            except Exception as error:  # the storage fails; a full disk must not get more incomplete lines
                # only the name: the message may contain the address of a database with its password
                logger.warning(f"search: the storage cannot be written to ({type(error).__name__}).")
                return


class Watch:
    """Detects trials whose workers write no heartbeats any more."""

    def __init__(self, study: optuna.Study):
        self._study = study
        self._seen: Dict[int, Tuple[Any, float]] = {}  # for each trial, the last heartbeat and when it was seen first

    def give_back_lost(self) -> None:
        """Gives the trials of silent workers back to the study."""
        now = time.monotonic()
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            written = trial.user_attrs.get(_ALIVE)
            before, since = self._seen.get(trial.number, (None, now))
            if trial.number not in self._seen or written != before:
                self._seen[trial.number] = (written, now)
            elif now - since >= _SILENCE:
                give_back(self._study, trial, "its worker stopped responding", deaths=1)


def give_back(study: optuna.Study, trial: FrozenTrial, reason: str, *, deaths: int = 0) -> None:
    """Ends a trial without a result, and enqueues its options for another worker.

    Args:
        study: the study of the trial.
        trial: a running trial.
        reason: stored with the trial.
        deaths: number of workers that died now; after `_MOST_DEATHS` in all, the options are not enqueued again.
    """
    before = trial.user_attrs.get(_DEATHS, 0)
    deaths += before if before in range(_MOST_DEATHS) else _MOST_DEATHS  # another value is not of this command
    again = deaths < _MOST_DEATHS
    storage, trial_id = study._storage, trial._trial_id
    try:
        storage.set_trial_user_attr(trial_id, REASON, reason if again else f"{reason}, as an earlier one did")
        storage.set_trial_user_attr(trial_id, _AGAIN, again)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except optuna.exceptions.UpdateFinishedTrialError:  # another worker was quicker, or the trial has finished
        return
    if again:
        study.enqueue_trial(dict(trial.params), user_attrs={_DEATHS: deaths})


def comes_again(trial: FrozenTrial) -> bool:
    """Whether a trial ended without a result and its options were enqueued again."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(_AGAIN))
