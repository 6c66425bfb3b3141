"""What spaCy's text classifier learns, and which probabilities it predicts."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import StudentDistillationConfig
from rasa_compressed_bert.runtime.spacy_predictor import log_probabilities, textcat_pipeline
from rasa_compressed_bert.students.spacy_textcat import textcat, training
from rasa_compressed_bert.tasks.distillation_data import DistillationData
from rasa_compressed_bert.training.scores import evaluate

LABELS = ("bread", "fruit")
TEXTS = ["loaf crust dough", "apple pear plum"]
LOGITS = np.array([[2.0, 0.0], [-1.0, 0.5]])
DATA = DistillationData(LABELS, TEXTS * 20, np.tile([0, -1], 20), np.tile(LOGITS, (20, 1)), [], np.zeros(0, int))


def options(**given):
    return StudentDistillationConfig(**{"alpha": 0.0, "loss": "mse", **given})


def trained(**given):
    nlp, plan = textcat_pipeline("xx", LABELS), {"epochs": 20, "learning_rate": 1e-2, **given}
    distillation = {"temperature": plan.pop("temperature", 1.0)}
    score = textcat.train_spacy_textcat(
        nlp,
        DATA,
        options(**distillation),
        validate=lambda: pytest.fail("There are no validation messages."),
        max_length=16,
        patience=20,
        batch_size=8,
        seed=0,
        **plan,
    )
    assert score is None
    return nlp


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_targets_are_softened_probabilities(alpha, temperature):
    given = options(alpha=alpha, temperature=temperature)
    targets, expected = textcat._targets(DATA, given)[:2], softmax(LOGITS, axis=1)
    expected[0] = alpha * np.array([1.0, 0.0]) + (1.0 - alpha) * expected[0]  # only the first message has a label
    hardened = targets ** textcat.target_temperature(given)
    np.testing.assert_allclose(hardened / hardened.sum(axis=1, keepdims=True), expected, atol=1e-12)
    assert textcat.target_temperature(given) == (1.0 if alpha == 1.0 else temperature)


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_predictions_are_the_teacher_s_at_each_temperature(temperature):
    """Else confidences are the flatter, the higher the temperature of the training is."""
    found = np.exp(log_probabilities(trained(temperature=temperature), TEXTS, max_length=16))
    np.testing.assert_allclose(found, softmax(LOGITS, axis=1), atol=0.1)


def test_the_loss_of_the_best_epoch_is_that_of_the_predictions():
    nlp, expected = textcat_pipeline("xx", LABELS), np.array([0, 1])
    score = textcat.train_spacy_textcat(
        nlp,
        replace(DATA, validation_texts=TEXTS, validation_classes=expected),
        options(temperature=5.0),
        validate=lambda: log_probabilities(nlp, TEXTS, max_length=16),
        **{"max_length": 16, "epochs": 20, "patience": 3, "batch_size": 8, "learning_rate": 1e-2, "seed": 0},
    )
    assert score.loss == pytest.approx(evaluate(log_probabilities(nlp, TEXTS, max_length=16), expected).loss, abs=1e-4)


def test_only_the_examples_of_a_step_are_in_memory(monkeypatch):
    from spacy.language import Language
    from spacy.training import Example

    update, alive = Language.update, []

    def counted(self, examples, **options):
        alive.append(sum(isinstance(one, Example) for one in gc.get_objects()))
        return update(self, examples, **options)

    monkeypatch.setattr(Language, "update", counted)
    before = sum(isinstance(one, Example) for one in gc.get_objects())
    trained(epochs=1)  # 40 messages, 8 in a step
    assert len(alive) == 5 and max(alive) <= before + 8


@pytest.mark.parametrize(
    "manifest, alpha, expected",
    [({}, 0.3, 5.0), ({}, 1.0, 1.0), ({"softmax_temperature": 1.0}, 0.3, 1.0)],
    ids=["older", "older, which learnt labels only", "of this version"],
)
def test_the_temperature_of_a_stored_student(manifest, alpha, expected):
    config = {"distillation": {"alpha": alpha, "temperature": 5.0}}
    assert training._temperature_of(Artifact({"config": config, **manifest}, {})) == expected


@pytest.mark.parametrize("before", [1.0, 5.0])
def test_training_goes_on_from_what_was_predicted(before):
    """A student of an older version predicts the softened probabilities of its training."""
    first = trained(temperature=5.0, epochs=5)
    start = log_probabilities(first, TEXTS, max_length=16)
    textcat.scale_logits(first, 1.0 / before)
    more = {"temperature": 5.0, "epochs": 1, "learning_rate": 1e-9}
    further = trained(**more, start=first.to_bytes(), start_temperature=before)
    np.testing.assert_allclose(log_probabilities(further, TEXTS, max_length=16), start, atol=1e-3)
