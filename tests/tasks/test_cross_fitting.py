"""Every message is held out once from a model that has not seen it, and no message is left out of the final one."""

from dataclasses import replace

import numpy as np
import pytest
from task_harness import EXAMPLES

from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.heads import learnt_heads
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.tasks import cross_fitting
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.tasks.bert_training import train_bert
from rasa_compressed_bert.tasks.cross_fitting import cross_fit, cross_fitted_of, voting_of
from rasa_compressed_bert.tasks.start import start_from_pretrained, with_heads

pytestmark = pytest.mark.slow


@pytest.fixture
def task_of(configure):
    def make(examples, **options):
        config = configure(validation_split=0.1, epochs=2, **options)
        state = start_from_pretrained(config, [example.text for example in examples])
        heads = learnt_heads(examples, config, state.tokenizer)
        return BertTask.of(examples, heads, with_heads(state, heads, config), config)

    return make


@pytest.fixture
def trained_on(monkeypatch):
    """The texts that each model of cross-fitting was trained on; nothing is trained for long."""
    seen = []
    fine_tune = cross_fitting.fine_tune

    def noted(task, name, **options):
        seen.append(list(task.texts))
        assert len(task.training) == len(task.texts)
        return fine_tune(task, name, **options)

    monkeypatch.setattr(cross_fitting, "fine_tune", noted)
    return seen


def test_each_message_is_held_out_once(task_of, trained_on):
    task = task_of(EXAMPLES)
    found = cross_fit(task)
    assert found.folds == 2 and found.messages == len(EXAMPLES)
    one, other = map(set, trained_on)
    assert one | other == set(task.texts) and not one & other


def test_the_only_example_of_an_intent_is_never_held_out(task_of, trained_on):
    examples = [*EXAMPLES, Example("nobody says this twice", "rare")]
    found = cross_fit(task_of(examples))
    assert found.messages == len(EXAMPLES)
    assert all("nobody says this twice" in texts for texts in trained_on)


def test_of_many_messages_one_part_is_held_out(task_of, trained_on, monkeypatch):
    monkeypatch.setattr(cross_fitting, "PLAIN_SPLIT_FROM", 10)
    found = cross_fit(task_of(EXAMPLES))
    assert found.folds == 1 and len(trained_on) == 1
    assert found.messages < len(EXAMPLES) / 4


def test_texts_are_not_listed_again_for_each_message(task_of, monkeypatch):
    """Twice as many messages would take four times as long."""
    listed = []
    monkeypatch.setattr(
        BertTask, "texts", property(lambda task: listed.append(task) or [example.text for example in task.examples])
    )
    task = task_of(EXAMPLES)
    listed.clear()
    cross_fit(task)
    assert len(listed) < len(EXAMPLES)


@pytest.mark.parametrize("examples, split", [(EXAMPLES, 0.0), (EXAMPLES[:4], 0.1)], ids=["switched off", "too few"])
def test_nothing_is_held_out(task_of, trained_on, examples, split):
    task = task_of(examples)
    assert cross_fit(replace(task, config=replace(task.config, validation_split=split))) is None
    assert not trained_on


@pytest.fixture(scope="module")
def artifact(configure):
    return train_bert(EXAMPLES, configure(validation_split=0.1))


def test_an_artifact_tells_what_was_measured(artifact, configure):
    found = cross_fitted_of(artifact)
    assert found.to_dict() == artifact.manifest["cross_fitted"]
    assert found.messages == len(EXAMPLES) and found.score["accuracy"] > 0
    assert voting_of(found).calibrated
    assert artifact.manifest["out_of_scope"]["calibrated"]
    other = train_bert(EXAMPLES, configure(validation_split=0.0, epochs=1, pruning={"method": "none"}))
    assert cross_fitted_of(other) is None
    assert not voting_of(None).calibrated and not other.manifest["out_of_scope"]["calibrated"]


def test_every_message_is_answered_with_its_intent(artifact):
    predictor = MessagePredictor(artifact)
    right = [predictor.predict(example.text).ranking[0][0] == example.intent for example in EXAMPLES]
    assert np.mean(right) == 1.0


def test_nonsense_is_below_the_threshold_of_the_fallback(artifact):
    predictor = MessagePredictor(artifact)
    for text in ("asdkjh qwe", "zzzz xx", "1234567"):
        assert predictor.predict(text).ranking[0][1] < 0.3
    kept = [predictor.predict(example.text).ranking[0][1] >= 0.3 for example in EXAMPLES]
    assert np.mean(kept) >= 0.95
