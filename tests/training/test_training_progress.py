"""The progress that a training shows while it runs."""

import io
import logging
import re
import sys

import pytest

from rasa_compressed_bert.training import progress
from rasa_compressed_bert.training.progress import stage, whole_training

LOGGER = "rasa_compressed_bert.training.progress"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(monkeypatch, caplog, columns=100):
    """Replaces standard error by a terminal; called within a test, because pytest replaces it before."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    caplog.set_level(logging.INFO, LOGGER)
    return sys.stderr


def run(name, values, *, epochs=2):
    with stage(name, 2 * epochs) as shown:
        for number in range(1, epochs + 1):
            shown.step()
            shown.step()
            shown.epoch(number, values)


def last_of(terminal):
    return terminal.getvalue().strip().split("\r")[-1].rstrip()


@pytest.mark.parametrize("columns", [30, 40, 100])
def test_a_bar_has_the_score_first_and_drops_what_does_not_fit(monkeypatch, caplog, columns):
    terminal = on_terminal(monkeypatch, caplog, columns)
    with whole_training([1.0, 2.0]):
        run("fine-tune", {"loss": 12.0, "macro_f1": 0.931})
    line = last_of(terminal)
    assert line.startswith("macro F1 93.1 % fine-tune 1/2"[: columns - 1]) and "12" not in line and len(line) <= columns
    assert ("left in total" in line) is (columns == 100)


def test_time_that_is_left_is_that_of_all_stages(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    whole = progress.Whole([1.0, 3.0])
    assert whole.begin() == 1 and whole.seconds_left(1, 0.0) is None
    now[0] += 10.0
    assert whole.seconds_left(1, 1.0) == pytest.approx(30.0)  # a quarter of the work took 10 seconds
    assert whole.begin() == 2
    now[0] += 10.0
    assert whole.seconds_left(2, 1 / 3) == pytest.approx(20.0)  # half of the work took 20 seconds


def test_stages_beyond_those_that_are_known_have_no_number(monkeypatch, caplog):
    terminal = on_terminal(monkeypatch, caplog)
    with whole_training([1.0]):
        run("fine-tune", {})
        run("another", {})
    assert last_of(terminal).startswith("another: 100 %")


def test_logs_get_a_line_for_each_stage_and_no_bar(capsys, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    with whole_training([1.0, 1.0]):
        run("fine-tune", {"macro_f1": 0.5})
    assert caplog.messages == ["Stage 1 of 2, fine-tune: 0 s."] and capsys.readouterr().err == ""


def test_nothing_is_shown_where_only_warnings_are_logged(monkeypatch, caplog):
    terminal = on_terminal(monkeypatch, caplog)
    caplog.set_level(logging.WARNING, LOGGER)
    run("fine-tune", {"macro_f1": 0.5})
    assert terminal.getvalue() == "" and caplog.messages == []


def test_tensorboard_gets_every_measure_of_every_epoch(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with whole_training([], str(tmp_path / "logs")):
        run("prune (neuron)", {"loss": 0.25, "sparsity": 0.5})
    events = EventAccumulator(str(tmp_path / "logs" / "prune_neuron"), size_guidance={"tensors": 0})
    events.Reload()
    assert set(events.Tags()["tensors"]) == {"loss", "sparsity"}
    assert [event.step for event in events.Tensors("loss")] == [1, 2]
    run("fine-tune", {"loss": 0.25})
    assert re.fullmatch("prune_neuron", next((tmp_path / "logs").iterdir()).name)
