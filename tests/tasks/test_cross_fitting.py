"""Cross-fitting holds every message out once; the final model is trained on all messages."""

from dataclasses import replace

import numpy as np
import pytest
from task_harness import EXAMPLES

from rasa_compressed_bert.config import BertEntityExtractorConfig
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import NO_VALUES
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.tasks import cross_fitting, preparation
from rasa_compressed_bert.tasks.bert_training import train_bert
from rasa_compressed_bert.tasks.cross_fitted import NOTHING_HELD_OUT, cross_fitted_of
from rasa_compressed_bert.tasks.cross_fitting import cross_fit
from rasa_compressed_bert.tasks.preparation import prepare
from rasa_compressed_bert.tasks.training_run import Messages

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_without_graphs")]


@pytest.fixture
def run_of(configure):
    def make(examples):
        return prepare(examples, configure(validation_split=0.1, epochs=2), known=NO_VALUES)

    return make


@pytest.fixture
def trained_on(monkeypatch):
    """A list that gets the training texts of each model of cross-fitting."""
    seen = []
    fit_dense = cross_fitting.fit_dense

    def noted(run, name, **options):
        seen.append(run.messages.texts)
        assert len(run.messages.encoded) == len(run.messages.texts)
        fit_dense(run, name, **options)

    monkeypatch.setattr(cross_fitting, "fit_dense", noted)
    return seen


def test_each_message_is_held_out_once(run_of, trained_on):
    run = run_of(EXAMPLES)
    found = cross_fit(run).cross_fitted
    assert found.folds == 2 and found.messages == len(EXAMPLES)
    one, other = map(set, trained_on)
    assert one | other == set(run.messages.texts) and not one & other


def test_messages_that_differ_in_case_and_blanks_are_held_out_together(run_of, trained_on):
    """A model trained on one of them has seen the other."""
    spelt = [replace(one, text=f" {one.text.upper()}") for one in EXAMPLES]
    rare = [Example(text, "rare") for text in ("nobody says this twice", "Nobody says  this twice")]
    found = cross_fit(run_of([*EXAMPLES, *spelt, *rare])).cross_fitted
    assert found.messages == 2 * len(EXAMPLES)
    one, other = ({" ".join(text.lower().split()) for text in texts} for texts in trained_on)
    assert one & other == {"nobody says this twice"} and len(one | other) == len(EXAMPLES) + 1


def test_the_only_example_of_an_intent_is_never_held_out(run_of, trained_on):
    examples = [*EXAMPLES, Example("nobody says this twice", "rare")]
    found = cross_fit(run_of(examples)).cross_fitted
    assert found.messages == len(EXAMPLES)
    assert all("nobody says this twice" in texts for texts in trained_on)


def test_names_of_intents_have_no_fold(run_of, trained_on, monkeypatch):
    """Else two messages of an intent could be held out together; an only one is, if its name tells of the intent."""
    monkeypatch.setattr(preparation, "helpful_names", lambda *_, **__: [*map(name_of, [*words, "named"])])
    words = "weather rain sun food pizza curry song music table".split()
    examples = [Example(f"{start} {word}", word) for word in words for start in ("the", "my")]
    alone = [Example("nobody says this twice", "rare"), Example("nor this", "named")]
    found = cross_fit(run_of([*examples, *alone])).cross_fitted
    assert found.messages == len(examples) + 1
    parts = [[text.split()[1] for text in texts if text[:3] in ("the", "my ")] for texts in trained_on]
    assert sorted(parts[0]) == sorted(parts[1]) == sorted(words)
    assert sum("nor this" in texts for texts in trained_on) == 1


def name_of(intent):
    return Example(f"name of {intent}", intent, annotated=False)


def test_of_many_messages_one_part_is_held_out(run_of, trained_on, monkeypatch):
    monkeypatch.setattr(cross_fitting, "PLAIN_SPLIT_FROM", 10)
    found = cross_fit(run_of(EXAMPLES)).cross_fitted
    assert found.folds == 1 and len(trained_on) == 1
    assert found.messages < len(EXAMPLES) / 4


def test_texts_are_not_listed_again_for_each_message(run_of, monkeypatch):
    """Otherwise twice as many messages would take four times as long."""
    listed = []
    monkeypatch.setattr(
        Messages, "texts", property(lambda own: listed.append(own) or [example.text for example in own.examples])
    )
    run = run_of(EXAMPLES)
    listed.clear()
    cross_fit(run)
    assert len(listed) < len(EXAMPLES)


def test_messages_that_differ_in_case_alone_are_not_all_held_out(tiny_weights, trained_on):
    """No model could be trained then: all of them are in the same part."""
    texts = [f"{'ORDER'[:size]}{'order'[size:]} a pizza" for size in range(6)] + ["Order A pizza", "order a Pizza"]
    examples = [Example(text, entities=(EntitySpan(8, 13, "dish"),)) for text in texts]
    config = BertEntityExtractorConfig.from_dict({"model_weights": str(tiny_weights), "epochs": 1})
    assert cross_fit(prepare(examples, config, known=NO_VALUES)).cross_fitted == NOTHING_HELD_OUT
    assert not trained_on


@pytest.mark.parametrize("examples, split", [(EXAMPLES, 0.0), (EXAMPLES[:4], 0.1)], ids=["switched off", "too few"])
def test_nothing_is_held_out(run_of, trained_on, examples, split):
    run = run_of(examples)
    found = cross_fit(replace(run, config=replace(run.config, validation_split=split))).cross_fitted
    assert found == NOTHING_HELD_OUT
    assert not trained_on


@pytest.fixture(scope="module")
def artifact(configure):
    return train_bert(EXAMPLES, configure(validation_split=0.1))


def test_an_artifact_tells_what_was_measured(artifact, configure):
    found = cross_fitted_of(artifact)
    assert found.to_dict() == artifact.manifest["cross_fitted"]
    assert found.messages == len(EXAMPLES) and found.score["accuracy"] > 0
    assert found.voting.calibrated
    assert artifact.manifest["out_of_scope"]["calibrated"]
    other = train_bert(EXAMPLES, configure(validation_split=0.0, epochs=1, pruning={"method": "none"}))
    assert cross_fitted_of(other) == NOTHING_HELD_OUT
    assert not NOTHING_HELD_OUT.voting.calibrated and not other.manifest["out_of_scope"]["calibrated"]


def test_every_message_is_answered_with_its_intent(artifact):
    predictor = MessagePredictor(artifact)
    right = [predictor.predict(example.text).ranking[0][0] == example.intent for example in EXAMPLES]
    assert np.mean(right) == 1.0


def test_nonsense_is_below_the_threshold_of_the_fallback(artifact):
    predictor = MessagePredictor(artifact)
    for text in ("asdkjh qwe", "zzzz xx", "1234567"):
        assert predictor.predict(text).ranking[0][1] < 0.3
    assert predictor.predict("🤷").ranking == [(label, 0.0) for label in artifact.manifest["labels"]]
    kept = [predictor.predict(example.text).ranking[0][1] >= 0.3 for example in EXAMPLES]
    assert np.mean(kept) >= 0.95
