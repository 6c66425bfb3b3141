"""Schedules equal tfmot's, and reach their final sparsity whatever the number of steps."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tensorflow_model_optimization.sparsity.keras import PolynomialDecay

from rasa_compressed_bert.compression.schedules import pruning_schedule
from rasa_compressed_bert.config import PruningConfig


def config(**options):
    return PruningConfig(**{"begin_epoch": 0.0, "end_epoch": 5.0, **options})


def updates(schedule, steps):
    """(step, sparsity) of every mask update; train steps are counted from 1."""
    due = [(step, schedule(step)) for step in range(1, steps + 1)]
    return [(step, float(sparsity)) for step, (should_prune, sparsity) in due if bool(should_prune)]


def test_equals_tfmot_at_every_step():
    ours = pruning_schedule(config(final_sparsity=0.6, frequency=20, begin_epoch=1.0), 80)
    theirs = PolynomialDecay(0.0, 0.6, 80, 400, power=3, frequency=20)
    for step in range(0, 450, 1):
        (our_turn, our_sparsity), (their_turn, their_sparsity) = ours(step), theirs(step)
        assert bool(our_turn) == bool(their_turn) and float(our_sparsity) == float(their_sparsity), step


def test_cubic_formula():
    schedule = pruning_schedule(config(initial_sparsity=0.2, final_sparsity=0.8, frequency=1), 20)
    for step in (0, 1, 30, 77, 100):
        assert float(schedule(step)[1]) == pytest.approx(0.8 - 0.6 * (1 - step / 100) ** 3, abs=1e-6)


epochs = st.floats(0.0, 8.0)


@settings(max_examples=60, deadline=None)
@given(
    begin=epochs,
    end=epochs,
    steps_per_epoch=st.integers(1, 40),
    frequency=st.integers(1, 60),
    kind=st.sampled_from(["polynomial_decay", "constant"]),
    final=st.floats(0.0, 0.99),
)
def test_last_update_has_the_final_sparsity(begin, end, steps_per_epoch, frequency, kind, final):
    assume(begin <= end)
    options = config(begin_epoch=begin, end_epoch=end, frequency=frequency, schedule=kind, final_sparsity=final)
    found = updates(pruning_schedule(options, steps_per_epoch), 8 * steps_per_epoch)
    sparsities = [sparsity for _, sparsity in found]
    assert sparsities == sorted(sparsities), "sparsity never falls"
    assert sparsities[-1] == pytest.approx(final, abs=1e-6)
    assert found[0][0] >= min(begin, end) * steps_per_epoch - 1.51
    assert found[-1][0] <= max(1, round(end * steps_per_epoch))


@pytest.mark.parametrize("begin_epoch", [0.0, 3.0, 8.0])
@pytest.mark.parametrize("kind", ["polynomial_decay", "constant"])
def test_begin_that_is_the_end_prunes_once_at_the_latest_in_the_last_step(begin_epoch, kind):
    options = config(begin_epoch=begin_epoch, end_epoch=begin_epoch, schedule=kind)
    assert updates(pruning_schedule(options, 10), 80)[-1][1] == pytest.approx(0.6)


def test_one_step_is_enough():
    assert updates(pruning_schedule(config(end_epoch=0.625), 1), 1)[-1] == (1, pytest.approx(0.6))


def test_small_data_is_pruned_in_several_updates():
    assert len(updates(pruning_schedule(config(frequency=20), 6), 48)) >= 10


def test_component_has_its_own_final_sparsity():
    schedule = pruning_schedule(config(initial_sparsity=0.5), 10, final_sparsity=0.3)
    assert [sparsity for _, sparsity in updates(schedule, 50)] == pytest.approx([0.3] * 10)
