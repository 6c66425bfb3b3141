"""Many workers on one study: each writes that it is alive, and the trial of a dead one is given to another.

No clock is compared with another machine's: a trial is lost when what its worker writes has not changed for a while.
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
_MOST_DEATHS = 2  # of workers of the same options, which may well be what killed them


class Alive:
    """Says again and again that the worker of a trial is there."""

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
                return  # taken over: noticed when the trial ends
            except Exception as error:  # the storage is away; a full disk must not get half lines again and again
                # the name alone: an error of a database may hold its address, with the password
                logger.warning(f"search: the storage cannot be written ({type(error).__name__}).")
                return


class Watch:
    """Finds trials whose workers have fallen silent."""

    def __init__(self, study: optuna.Study):
        self._study = study
        self._seen: Dict[int, Tuple[Any, float]] = {}  # of each trial, what its worker wrote last, and when

    def give_back_lost(self) -> None:
        """Gives what silent workers had to the study again."""
        now = time.monotonic()
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            written = trial.user_attrs.get(_ALIVE)
            before, since = self._seen.get(trial.number, (None, now))
            if trial.number not in self._seen or written != before:
                self._seen[trial.number] = (written, now)
            elif now - since >= _SILENCE:
                give_back(self._study, trial, "its worker fell silent", deaths=1)


def give_back(study: optuna.Study, trial: FrozenTrial, reason: str, *, deaths: int = 0) -> None:
    """Ends a trial without a result, and puts its options where the next worker finds them.

    Args:
        study: of the trial.
        trial: which runs.
        reason: is kept with the trial.
        deaths: workers that died of it now; options that `_MOST_DEATHS` have died of do not come again.
    """
    deaths += trial.user_attrs.get(_DEATHS, 0)
    again = deaths < _MOST_DEATHS
    storage, trial_id = study._storage, trial._trial_id
    try:
        storage.set_trial_user_attr(trial_id, REASON, reason if again else f"{reason}, as one before")
        storage.set_trial_user_attr(trial_id, _AGAIN, again)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except optuna.exceptions.UpdateFinishedTrialError:  # another worker was quicker, or it was finished after all
        return
    if again:
        study.enqueue_trial(dict(trial.params), user_attrs={_DEATHS: deaths})


def comes_again(trial: FrozenTrial) -> bool:
    """Whether a trial ended without a result and another one has its options."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(_AGAIN))
