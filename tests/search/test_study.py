"""Trials are proposed, run once, marked and stored, by one or several workers."""

import collections
import contextlib
import csv
import errno
import functools
import math
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import search_harness
from optuna.trial import TrialState
from search_harness import COSTS, SPACE, goal, measure

import rasa_compressed_bert
from benchmarks.search_samplers import hypervolume
from rasa_compressed_bert.commands import search_results
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.errors import CompressedBertError, ConfigError, ExportError
from rasa_compressed_bert.search import signals, workers
from rasa_compressed_bert.search import study as studies
from rasa_compressed_bert.search import trials as running
from rasa_compressed_bert.search.frontier import Point, pareto, picks
from rasa_compressed_bert.search.goals import Measured
from rasa_compressed_bert.search.report import importances, write_trials
from rasa_compressed_bert.search.space import read_space
from rasa_compressed_bert.search.storage import open_storage, shown, storage_errors
from rasa_compressed_bert.search.study import Goal, add_starts, baseline_of, confirmed, open_study, tried_of
from rasa_compressed_bert.search.trials import Sampler, search
from rasa_compressed_bert.search.workers import REASON

ROOT = Path(rasa_compressed_bert.__file__).parents[1]
MEMORY = optuna.storages.InMemoryStorage
REFERENCE = {"score": 0.5, "latency_ms": 1.0, "size_mb": 10.0}


def searched(trials=30, *, own_goal=None, sampler="tpe", seed=0, run=measure):
    study = open_study(MEMORY(), own_goal or goal(), name="test")
    search(study, own_goal or goal(), run, trials=trials, sampler=Sampler(sampler, (seed,)))
    return study


def points_of(study):
    return studies.points_of(study, goal().space)


@pytest.fixture(scope="module")
def found():
    return searched(60)


def test_every_trial_is_finished_or_marked(found):
    states = collections.Counter(trial.state for trial in found.get_trials())
    assert sum(states.values()) == 60 and set(states) <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert states[TrialState.PRUNED] > 5
    for trial in found.get_trials():
        failed = trial.params["pruning.final_sparsity"] > 0.85
        assert failed == ("ExportError: It disagrees." == trial.user_attrs.get(REASON))
        assert (REASON in trial.user_attrs) != (studies.FIGURES in trial.user_attrs)


def test_only_ended_trials_count_as_done():
    study, seen = open_study(MEMORY(), goal(), name="test"), []
    for sparsity in (0.1, 0.2, 0.3):
        study.enqueue_trial({"pruning.final_sparsity": sparsity, "learning_rate": 1e-3, "epochs": 4})
    search(study, goal(), measure, trials=4, on_trial=lambda trials: seen.append(running.ended(trials)))
    assert seen == [1, 2, 3, 4]


def test_what_may_be_picked_is_measured_on_other_splits_once():
    study, asked = searched(8), []

    def run(options, *, split):
        asked.append((options, split))
        return measure(options, split=split)

    points, told = points_of(study)[:2], []
    for _ in range(2):
        means = confirmed(study, points, run, splits=(1, 2), on_measured=lambda: told.append(1))
    assert asked == [(point.options, split) for point in points for split in (1, 2)] and len(told) == 8
    for point, mean in zip(points, means):
        assert mean.number == point.number and mean.options == point.options
        assert mean.figures["score"] == pytest.approx(point.figures["score"] - 0.03)
        assert mean.figures["score_deviation"] == pytest.approx(0.02 / 2**0.5)


def test_what_cannot_be_trained_on_another_split_is_left_out(caplog):
    study = searched(8)
    baseline, (first, second) = baseline_of(study, measure), points_of(study)[:2]

    def run(options, *, split, failing):
        if options == failing.options:
            raise ExportError("It disagrees.")
        return measure(options, split=split)

    def confirm(failing):
        run_failing = functools.partial(run, failing=failing)
        return confirmed(study, [baseline, first, second], run_failing, splits=(1,), on_measured=lambda: None)

    assert [point.number for point in confirm(first)] == [-1, second.number]
    assert f"trial {first.number} cannot be trained on another split, and is left out: " in caplog.text
    with pytest.raises(
        CompressedBertError, match="the unchanged config.yml cannot be trained on another split: Export"
    ):
        confirmed(
            searched(8), [baseline], functools.partial(run, failing=baseline), splits=(1,), on_measured=lambda: None
        )


def test_the_sampler_learns_from_failed_trials():
    """With random sampling more than half of the trials would fail."""

    def fragile(options, *, quick=False):
        if options["pruning.final_sparsity"] > 0.4:
            raise MemoryError
        return measure(options, quick=quick)

    trials = searched(60, run=fragile).get_trials()
    assert sum("MemoryError" in trial.user_attrs.get(REASON, "") for trial in trials[30:]) <= 10


def test_a_model_whose_parameters_are_not_counted_is_not_the_smallest():
    """spaCy models have no count; the space may have one while the config.yml has another student."""

    def uncounted(options, *, quick=False):
        found = measure(options, quick=quick)
        return replace(found, parameters=0) if found and options["pruning.final_sparsity"] > 0.5 else found

    trials = searched(12, own_goal=goal(costs=("parameters",)), run=uncounted).get_trials()
    failed = [trial for trial in trials if "are not counted" in trial.user_attrs.get(REASON, "")]
    assert failed and all(trial.params["pruning.final_sparsity"] > 0.5 for trial in failed)
    assert all(trial.user_attrs["figures"]["parameters"] for trial in trials if "figures" in trial.user_attrs)


def test_importance_is_that_for_good_scores():
    """The learning rate decides the best scores; other options decide the worst ones and failures."""

    def one_matters(options, *, quick=False):
        if options["pruning.final_sparsity"] > 0.5:
            raise ExportError("It disagrees.")
        if quick:
            return None
        score = 1.0 - 0.1 * abs(math.log10(options["learning_rate"]) + 3) - 0.5 * (options["epochs"] <= 2)
        return Measured({"macro_f1": score}, 1.0, 1.0, 1)

    shares = importances(searched(100, sampler="random", run=one_matters))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert max(shares, key=shares.get) == "learning_rate"


def test_picks_are_better_than_the_baseline(found):
    baseline = baseline_of(found, measure)
    front = pareto([*points_of(found), baseline], COSTS)
    best = picks(front, baseline)
    assert best["best"].figures["score"] > baseline.figures["score"] + 0.02
    assert best["fastest"].figures["latency_ms"] < baseline.figures["latency_ms"]


def test_better_than_random_search():
    def volume(sampler):
        return sum(
            hypervolume(points_of(searched(40, sampler=sampler, seed=seed)), COSTS, REFERENCE) for seed in range(3)
        )

    assert volume("tpe") > volume("random")


def test_thresholds_are_searched_for():
    own = goal(["latency_ms <= 0.4"])
    points = points_of(searched(40, own_goal=own))
    assert sum(point.figures["latency_ms"] <= 0.4 for point in points[-10:]) >= 5


def test_what_misses_a_threshold_is_marked(tmp_path):
    study = searched(20, own_goal=goal(["latency_ms <= 0.4"]))
    for trial in study.get_trials():
        if studies.FIGURES in trial.user_attrs:
            missed = trial.user_attrs[studies.FIGURES]["latency_ms"] > 0.4
            assert trial.user_attrs.get(REASON) == ("misses latency_ms <= 0.4" if missed else None)
    write_trials(study, tmp_path / "trials.csv")
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert {row["reason"] for row in rows if row["state"] == "COMPLETE"} == {"", "misses latency_ms <= 0.4"}
    assert all(row["macro_f1"] == row["score"] for row in rows) and "exact" not in rows[0]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_resumes_where_it_stopped(sampler, tmp_path, monkeypatch):
    """No sample is drawn twice, as if it had not been stopped. The folder is relative, as users give it."""
    monkeypatch.chdir(tmp_path)
    for trials in (4, 9, 9):
        study = open_study(open_storage("folder/journal.log"), goal(), name="test")
        search(study, goal(), measure, trials=trials, sampler=Sampler(sampler))
        assert len(study.get_trials()) == trials
    whole = searched(9, sampler=sampler)
    assert [trial.params for trial in study.get_trials()] == [trial.params for trial in whole.get_trials()]
    with pytest.raises(ConfigError, match="the study 'test' was made with other data"):
        open_study(open_storage("folder/journal.log"), goal(made_from="other"), name="test")
    with pytest.raises(ConfigError, match="--maximize: the study 'test' maximises the score of the component"):
        open_study(open_storage("folder/journal.log"), goal()._replace(maximize="accuracy"), name="test")
    with pytest.raises(ConfigError, match="--minimize: the study 'test' minimises latency_ms,size_mb"):
        open_study(open_storage("folder/journal.log"), goal(costs=("parameters",)), name="test")


def test_a_lock_that_a_dead_process_left_does_not_stop_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    searched_there = functools.partial(open_study, goal=goal(), name="test")
    dead = open_storage("study/journal.log")
    searched_there(dead)
    lock = dead._backend._lock
    lock.acquire()
    begun = time.monotonic()
    quick = SimpleNamespace(monotonic=lambda: 100.0 * (time.monotonic() - begun), sleep=time.sleep)
    monkeypatch.setattr(sys.modules[type(lock).__module__], "time", quick)  # Optuna waits for 30 seconds
    opening = threading.Thread(target=lambda: searched_there(open_storage("study/journal.log")), daemon=True)
    opening.start()
    opening.join(10)
    is_stopped = opening.is_alive()
    if is_stopped:
        lock.release()  # or the thread would go on forever
    assert not is_stopped


@pytest.mark.parametrize("content", [b"SQLite format 3\0\n\1", b"notes", b"notes\n", b"{}"])
def test_a_file_that_is_no_journal_is_refused_and_stays_as_it_is(tmp_path, content):
    """Such as the database of an address without `sqlite:///`, of which all after the last line break was cut off."""
    path = tmp_path / "study.db"
    path.write_bytes(content)
    with pytest.raises(CompressedBertError, match="cannot be reached: it is not a journal .* sqlite:///.*/study.db"):
        open_storage(str(path))
    assert path.read_bytes() == content and [one.name for one in tmp_path.iterdir()] == ["study.db"]


def test_half_a_line_of_a_full_disk_is_dropped(tmp_path):
    path = tmp_path / "journal.log"
    study = open_study(open_storage(str(path)), goal(), name="test")
    search(study, goal(), measure, trials=3)
    with path.open("a") as file:
        file.write('{"op_code": 8, "worker')
    again = open_study(open_storage(str(path)), goal(), name="test")
    search(again, goal(), measure, trials=5)
    assert len(open_study(open_storage(str(path)), goal(), name="test").get_trials()) == 5


def test_a_disk_that_is_full_is_one_sentence():
    with pytest.raises(CompressedBertError, match="cannot be read or written: .* No space left .* --resume continues"):
        with storage_errors("study.log"):
            raise OSError(errno.ENOSPC, "No space left on device")


def test_options_that_were_tried_are_not_trained_again():
    calls = []
    few = Goal(read_space({"epochs": [2, 3]}, PrunedBertIntentClassifierConfig), COSTS, (), "data")

    def counted(options, *, quick=False):
        calls.append((options["epochs"], quick))
        return measure(options, quick=quick)

    study = searched(12, own_goal=few, run=counted)
    assert sorted(calls) == [(2, False), (2, True), (3, False), (3, True)]
    assert len(studies.points_of(study, few.space)) == 12


def test_nothing_works():
    def fails(options, *, quick=False):
        raise ExportError(f"It disagrees{'.' if options['epochs'] > 4 else '!'}")

    with pytest.raises(
        CompressedBertError, match=r"the first 10 trials have failed. \d times: ExportError: It disagrees"
    ):
        searched(50, run=fails)


def test_options_that_kill_their_workers_are_not_retried_for_ever():
    study = open_study(MEMORY(), goal(), name="test")
    for _ in range(2):
        trial = study.ask(dict(goal().space))
        frozen = study.get_trials()[trial.number]
        workers.give_back(study, frozen, "its worker stopped responding", deaths=1)
        assert [workers.comes_again(item) for item in study.get_trials()][-1] is False
    first, second = study.get_trials()
    assert first.params == second.params and workers.comes_again(first) and not workers.comes_again(second)
    assert second.user_attrs[REASON] == "its worker stopped responding, as an earlier one did"


@pytest.mark.parametrize("deaths", ["1", None, [], -5, 2.5])
def test_a_number_of_deaths_that_another_program_has_written(deaths):
    study = open_study(MEMORY(), goal(), name="test")
    trial = study.ask(dict(goal().space))
    trial.set_user_attr("deaths", deaths)
    workers.give_back(study, study.get_trials()[trial.number], "its worker stopped responding", deaths=1)
    assert [workers.comes_again(item) for item in study.get_trials()] == [False]


def test_a_search_waits_for_the_trials_of_others(monkeypatch):
    """The other worker falls silent, and its trial is run again."""
    monkeypatch.setattr(workers, "_SILENCE", 0.3)
    monkeypatch.setattr(running, "_POLL", 0.1)
    study = open_study(MEMORY(), goal(), name="test")
    others = study.ask(dict(goal().space))
    search(study, goal(), measure, trials=3)
    trials = study.get_trials()
    assert trials[others.number].state == TrialState.FAIL
    kept = [trial for trial in trials if trial.state.is_finished() and not workers.comes_again(trial)]
    assert len(kept) == 3 and any(trial.params == others.params for trial in kept)


def test_the_baseline_is_measured_once():
    calls = []

    def counted(options, *, quick=False):
        calls.append(options)
        return measure(options)

    study = open_study(MEMORY(), goal(), name="test")
    assert baseline_of(study, counted) == baseline_of(study, counted) and calls == [{}]


def test_the_sampler_knows_the_baseline():
    study = open_study(MEMORY(), goal(), name="test")
    baseline_of(study, measure)
    values = {"pruning.final_sparsity": 0.6, "learning_rate": 1e-4, "epochs": 8, "batch_size": 32}
    for _ in range(2):
        add_starts(study, goal(), lambda options: {**values, **options}, most=4)
    (trial,) = study.get_trials()
    assert trial.state == TrialState.COMPLETE and trial.values[0] == study.user_attrs["baseline"]["score"]
    search(study, goal(), measure, trials=4)
    assert len(study.get_trials()) == 5 and trial.number not in [point.number for point in points_of(study)]
    outside = open_study(MEMORY(), goal(), name="test")
    baseline_of(outside, measure)
    add_starts(outside, goal(), lambda options: {**values, "epochs": 80}, most=4)
    assert not outside.get_trials()


def test_a_search_begins_with_each_choice_of_each_list():
    """A start includes options that its choice requires; contradictory starts are left out."""
    lists = {"pruning.schedule": ["polynomial_decay", "constant"], "vocabulary": ["full", "trim"]}
    own = goal()._replace(space=read_space({**SPACE, **lists}, PrunedBertIntentClassifierConfig))
    values = {"pruning.final_sparsity": 0.6, "learning_rate": 1e-4, "epochs": 8}
    values.update({"pruning.schedule": "polynomial_decay", "vocabulary": "full"})

    def values_with(options):
        if options.get("vocabulary") == "trim":
            raise ConfigError("It contradicts itself.")
        return {**values, **options, **({"epochs": 4} if "constant" in options.values() else {})}

    study = open_study(MEMORY(), own, name="test")
    baseline_of(study, measure)
    for _ in range(2):
        add_starts(study, own, values_with, most=3)
    search(study, own, measure, trials=3)
    baseline, start, *drawn = study.get_trials()
    assert baseline.params == values and len(drawn) == 2
    assert start.params == {**values, "pruning.schedule": "constant", "epochs": 4}


EVIL = {"model_weights": "attacker/bert"}
FIGURES = measure({}).to_dict()


def planted(params, distributions, state=TrialState.COMPLETE, figures=FIGURES):
    """A study with a trial that another program has written."""
    values = [0.9, 1.0, 1.0] if state == TrialState.COMPLETE else None
    attributes = {studies.FIGURES: figures} if state == TrialState.COMPLETE else {}
    return optuna.create_trial(
        state=state, params=params, distributions=distributions, values=values, user_attrs=attributes
    )


def test_options_outside_the_space_are_never_trained():
    """Otherwise anyone who can write to a storage could choose the weights to train."""
    study = searched(4)
    own = {name: study.get_trials()[-1].params[name] for name in SPACE}
    wide = {**goal().space, "epochs": optuna.distributions.IntDistribution(1, 1000)}
    weights = {"model_weights": optuna.distributions.CategoricalDistribution([EVIL["model_weights"]])}
    for params, distributions in (
        ({**own, **EVIL}, {**goal().space, **weights}),
        (EVIL, weights),
        ({**own, "epochs": 1000}, wide),
    ):
        altered = searched(4)
        altered.add_trial(planted(params, distributions))
        for read in (studies.points_of, tried_of):
            with pytest.raises(ConfigError, match="study 'test' was made or changed by another program"):
                read(altered, goal().space)


@pytest.mark.parametrize("params", [{"epochs": 1000}, {"epochs": "attacker/bert"}])
def test_waiting_options_outside_the_space_are_never_trained(params):
    study, asked = searched(2), []
    study.enqueue_trial(params)
    with pytest.raises(ConfigError, match="study 'test' was made or changed by another program"):
        search(study, goal(), lambda options, **given: asked.append(options), trials=5)
    assert not asked


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"score": 0.9},
        {**FIGURES, "latency_ms": None},
        {**FIGURES, "score": "0.9"},
        "0.9",
        {**FIGURES, "more": 1},
        {**FIGURES, "score": math.nan},
        {**FIGURES, "score": 10**400},  # larger than any float
        {**FIGURES, "macro_f1": -0.1},
        {**FIGURES, "latency_ms": 0.0},  # others are shares of it
        {**FIGURES, "size_mb": math.inf},
        {**FIGURES, "parameters": 10**400},
    ],
)
def test_invalid_figures_are_refused(figures):
    study = searched(4)
    study.add_trial(planted(study.get_trials()[-1].params, goal().space, figures=figures))
    for read in (points_of, lambda study: search(study, goal(), measure, trials=9)):
        with pytest.raises(ConfigError, match="was made or changed by another program"):
            read(study)
    study = open_study(MEMORY(), goal(), name="test")
    study.set_user_attr("baseline", figures)
    with pytest.raises(ConfigError, match="was made or changed by another program"):
        baseline_of(study, measure)


def test_invalid_figures_of_a_failed_trial_are_refused_too():
    """With --pick no trial runs before, so stored figures are read first."""
    study = open_study(MEMORY(), goal(), name="test")
    trial = study.ask(dict(goal().space))
    trial.set_user_attr("figures", "0.9")
    study.tell(trial, state=TrialState.FAIL)
    with pytest.raises(ConfigError, match="was made or changed by another program"):
        search_results.conclude(study, goal(), None, None, None, None)


@pytest.mark.parametrize(
    "table, column", [("study_user_attributes", "value_json"), ("trial_params", "distribution_json")]
)
@pytest.mark.parametrize("value", ["{", '{"name": "FloatDistribution"}'])
def test_a_database_that_optuna_cannot_read_is_refused(tmp_path, table, column, value):
    address = f"sqlite:///{tmp_path / 'study.db'}"
    search(open_study(open_storage(address), goal(), name="test"), goal(), measure, trials=1)
    with contextlib.closing(sqlite3.connect(tmp_path / "study.db")) as database:
        database.execute(f"UPDATE {table} SET {column} = ?", (value,))
        database.commit()
    with pytest.raises(ConfigError, match="study 'test' was made or changed by another program"):
        open_study(open_storage(address), goal(), name="test")


def test_reasons_that_are_no_texts_are_shown_all_the_same():
    study = open_study(MEMORY(), goal(), name="test")
    trial = study.ask(dict(goal().space))
    trial.set_user_attr("reason", ["no memory"])
    study.tell(trial, state=TrialState.FAIL)
    assert studies.reasons_of(study.get_trials()) == "1 times: ['no memory']"


@pytest.mark.parametrize("directions", [["maximize", "minimize", "minimize"], ["minimize"]])
@pytest.mark.parametrize("trials", [0, 1])
def test_a_study_of_another_program_is_refused(directions, trials):
    storage = MEMORY()
    study = optuna.create_study(study_name="test", storage=storage, directions=directions)
    for _ in range(trials):
        study.tell(study.ask(), [1.0] * len(directions))
    if trials or len(directions) == 1:
        with pytest.raises(ConfigError, match="study 'test' was made or changed by another program"):
            open_study(storage, goal(), name="test")
    else:
        open_study(storage, goal(), name="test")


def test_time_that_is_over():
    study = open_study(MEMORY(), goal(), name="test")
    search(study, goal(), measure, trials=50, timeout=0)
    assert not study.get_trials()


def test_a_trial_that_takes_too_long():
    def slow(options, *, quick=False):
        end = time.monotonic() + (5.0 if options["pruning.final_sparsity"] > 0.5 else 0.0)
        while time.monotonic() < end:
            time.sleep(0.01)
        return measure(options, quick=quick)

    study = open_study(MEMORY(), goal(), name="test")
    search(study, goal(), slow, trials=6, trial_timeout=0.3)
    late = [trial for trial in study.get_trials() if trial.params["pruning.final_sparsity"] > 0.5]
    assert late and all(trial.user_attrs[REASON] == "It took longer than 0.3 seconds." for trial in late)
    assert points_of(study) and all(point.options["pruning.final_sparsity"] <= 0.5 for point in points_of(study))


def test_a_trial_that_was_taken_over_is_left_to_the_other(caplog):
    study = open_study(MEMORY(), goal(), name="test")

    def robbed(options, *, quick=False):
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            if len(study.get_trials()) == 1:
                workers.give_back(study, trial, "test")
        return measure(options, quick=quick)

    search(study, goal(), robbed, trials=1)
    lost, kept = study.get_trials()
    assert "another worker took over trial" in caplog.text and lost.params == kept.params
    assert (lost.state, kept.state) == (TrialState.FAIL, TrialState.COMPLETE)


def test_interrupted_options_come_again():
    asked = []

    def interrupted(options, *, quick=False):
        asked.append(dict(options))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return measure(options, quick=quick)

    study = open_study(MEMORY(), goal(), name="test")
    with pytest.raises(KeyboardInterrupt):
        search(study, goal(), interrupted, trials=5)
    lost = asked[2]
    search(study, goal(), interrupted, trials=5)
    assert asked[3] == lost
    kept = [trial for trial in study.get_trials() if trial.state != TrialState.FAIL]
    assert len(kept) == 5 and len({trial.params["learning_rate"] for trial in kept}) == 5


@pytest.mark.parametrize("failure", [None, TypeError("Was eager Context initialized?")])
def test_an_interruption_that_a_library_swallows_is_none_of_the_trial(failure):
    """As in a callback of the garbage collector, or in TensorFlow's own code."""

    def swallowing(options, *, quick=False):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5.0)
        if failure:
            raise failure
        return measure(options, quick=quick)

    study = open_study(MEMORY(), goal(), name="test")
    before = signal.getsignal(signal.SIGINT)
    for call in (
        lambda: search(study, goal(), swallowing, trials=1),
        lambda: baseline_of(study, swallowing),
        lambda: confirmed(study, [Point(0, {}, {})], lambda *_, **__: swallowing({}), splits=[1], on_measured=list),
    ):
        with pytest.raises(KeyboardInterrupt):
            call()
    assert [trial.user_attrs.get(REASON) for trial in study.get_trials()] == ["interrupted", None]
    assert list(study.user_attrs) == ["made_from", "costs", "maximize"] and signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("failure", [None, RuntimeError("Exception encountered when calling layer 'encoder'")])
def test_a_limit_that_a_library_swallows_comes_again(failure, monkeypatch):
    monkeypatch.setattr(signals, "_AGAIN", 0.2)

    def swallowing(options, *, quick=False):
        with contextlib.suppress(signals.TooLong):
            time.sleep(5.0)
        if failure:
            raise failure
        time.sleep(5.0)
        return measure(options, quick=quick)

    study = open_study(MEMORY(), goal(), name="test")
    start = time.monotonic()
    search(study, goal(), swallowing, trials=1, trial_timeout=0.2)
    assert time.monotonic() - start < 4.0
    assert study.get_trials()[0].user_attrs[REASON] == "It took longer than 0.2 seconds."


PLACE = "127.0.0.1:1/none"
SECRET = {
    f"postgresql://alice:s3cret@{PLACE}": (f"postgresql://{PLACE}", "s3cret"),
    f"postgresql+psycopg2://alice@{PLACE}?password=s3cret": (f"postgresql+psycopg2://{PLACE}", "s3cret"),
    f"postgresql://alice:s%403cret@{PLACE}": (f"postgresql://{PLACE}", "s@3cret"),
    "postgresql://alice:s3cret@127.0.0.1:port/none": ("postgresql://127.0.0.1:port/none", "s3cret"),
}


@pytest.mark.parametrize("address", SECRET)
def test_user_and_password_are_never_shown(address, caplog):
    """Not in any message: libraries repeat the address, or parts of it, in theirs."""
    place, password = SECRET[address]
    assert shown(address) == place
    with pytest.raises(CompressedBertError, match=f"--storage: '{re.escape(place)}' cannot be reached") as first:
        open_storage(address)
    with pytest.raises(CompressedBertError, match="cannot be read or written") as second, storage_errors(address):
        raise OSError(f"could not connect to '{address}' as alice with {password}")
    for error in (first.value, second.value):
        assert "s3cret" not in str(error) and password not in str(error) and "alice" not in str(error)
        assert error.__suppress_context__, "what a traceback would show"
    assert "s3cret" not in caplog.text


def test_a_short_secret_hides_no_other_words():
    address = f"postgresql://u:pw@{PLACE}"
    with pytest.raises(CompressedBertError, match=r"connection refused, as user \*\*\* with '\*\*\*'\. "):
        with storage_errors(address):
            raise OSError("connection refused, as user u with 'pw'")


@pytest.mark.parametrize(
    "address",
    [
        "alice:p@s3cret@host/db",
        "alice:a/s3cret@host/db",
        "host/db?password=x@s3cret",
        "alice:s3cret/db",
        "alice:s3cret",
    ],
)
def test_an_address_that_is_not_clear_is_refused(address):
    """Part of the password would be taken for the host."""
    with pytest.raises(CompressedBertError, match="ambiguous; write @, /, . and # .* as %40") as refused:
        open_storage(f"postgresql://{address}")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["postgresql:/bob:s3cret@host/db", "postgresql//bob:s3cret@host", "bob:s3cret@host/db"]
)
def test_an_address_without_its_slashes_is_no_file(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CompressedBertError, match="it lacks ://") as refused:
        open_storage(address)
    assert "s3cret" not in str(refused.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["C:\\a:b@c", "C:/a:b@c", "a@b", "a:b"])
def test_a_path_with_a_drive_is_no_address(path):
    assert shown(path) == path


@pytest.mark.parametrize("place", ["host", "host/db", "host:5432/db", "[::1]:5432/db", "[::1]", "/db", ""])
def test_an_address_without_a_user_is_shown_as_it_is(place):
    assert shown(f"postgresql://{place}") == f"postgresql://{place}"


@pytest.mark.parametrize("storage", ["sqlite:////none/a@b.com/study.db", "folder/study.log", "folder/a@b.log"])
def test_a_storage_without_secrets_is_shown_as_it_is(storage):
    assert shown(storage) == storage
    with pytest.raises(CompressedBertError, match=f"cannot be read or written: '{storage}' is full"):
        with storage_errors(storage):
            raise OSError(f"'{storage}' is full")


@pytest.mark.parametrize(
    "storage", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////none/where/study.db", "what://"]
)
def test_a_storage_that_cannot_be_reached(storage):
    with pytest.raises(CompressedBertError, match="--storage: .* cannot be reached"):
        open_storage(storage)


@pytest.fixture
def postgresql():
    """The address of a PostgreSQL server that is started for the test."""
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL server is installed here (initdb and postgres are not on the PATH)")
    with tempfile.TemporaryDirectory() as data:
        unprivileged = {"user": "nobody"} if os.geteuid() == 0 else {}
        if unprivileged:  # PostgreSQL refuses to run as root
            shutil.chown(data, "nobody")
        command = [initdb, "-D", data, "-A", "trust", "-U", "test"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, **unprivileged)
        if made.returncode:
            pytest.skip(f"initdb fails here: {made.stderr.strip()}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", ""]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([server, *options], **quiet, **unprivileged)
        try:
            yield reached(f"postgresql://test@127.0.0.1:{port}/postgres")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def reached(storage, seconds=30):
    """The address, returned when its server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            open_storage(storage)
            return storage
        except CompressedBertError:
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.2)


def worker(storage, trials, log, seconds):
    command = [sys.executable, search_harness.__file__, storage, str(trials), str(log), str(seconds)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})


def check_workers(storage, tmp_path):
    """Runs three workers on a storage; one is killed during a trial, which the others then run again."""
    log = tmp_path / "measured.txt"
    processes = [worker(storage, 12, log, 0.3) for _ in range(3)]
    while not log.exists() or len(log.read_text().splitlines()) < 6:
        time.sleep(0.05)
    victim = processes.pop()
    victim.kill()
    victim.wait()
    assert [process.wait(300) for process in processes] == [0, 0]
    trials = open_study(open_storage(storage), goal(), name="test").get_trials()
    lost = [trial for trial in trials if trial.state == TrialState.FAIL]
    kept = [trial for trial in trials if trial.state != TrialState.FAIL]
    assert not any(trial.state in (TrialState.RUNNING, TrialState.WAITING) for trial in trials)
    assert 12 <= len(kept) <= 14 and len(lost) <= 1
    sparsities = [trial.params["pruning.final_sparsity"] for trial in kept]
    assert len(set(sparsities)) == len(kept)
    begun = [trial for trial in lost if "pruning.final_sparsity" in trial.params]  # it may have been killed earlier
    assert all(trial.params["pruning.final_sparsity"] in sparsities for trial in begun)
    whole = collections.Counter(line for line in log.read_text().splitlines() if line.startswith("whole"))
    again = {f"whole {trial.params['pruning.final_sparsity']!r}" for trial in begun}
    assert all(count == 1 for line, count in whole.items() if line not in again)


@pytest.mark.slow
def test_workers_on_a_journal_file(tmp_path):
    check_workers(str(tmp_path / "journal.log"), tmp_path)


@pytest.mark.slow
def test_workers_on_sqlite(tmp_path):
    check_workers(f"sqlite:///{tmp_path / 'study.db'}", tmp_path)


@pytest.mark.slow
def test_workers_on_postgresql(postgresql, tmp_path):
    check_workers(postgresql, tmp_path)
