"""The response head compares, learns, refits and measures responses within their retrieval intent."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.config.distillation import DistillationConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.heads import ResponseHead, heads_of
from rasa_compressed_bert.heads.refitted import MeasuredLayer, ObservedLayers
from rasa_compressed_bert.training.batches import NO_LABEL
from rasa_compressed_bert.training.objectives import DistillationLoss, LabelLoss
from rasa_compressed_bert.training.scores import evaluate

LABELS = ("chat/a", "chat/b", "faq/a", "faq/b", "faq/c", "one/only")
HEAD = ResponseHead(LABELS)
INTENTS = np.array([0, 0, 1, 1, 1, 2])


def example(label):
    intent = label.split("/")[0]
    return Example(label, intent, response=label if "/" in label else None)


def test_labels_are_the_responses_of_examples():
    found = ResponseHead.learnt_from([example(label) for label in ("greet", *reversed(LABELS))], None, "{}")
    assert found == HEAD
    assert ResponseHead.learnt_from([example("greet")], None, "{}") is None
    assert HEAD.encode([example("faq/b"), example("greet")], []).tolist() == [3, NO_LABEL]


@pytest.mark.parametrize("switched_on", [True, False])
def test_an_option_asks_for_it(switched_on):
    assert ResponseHead.is_asked_for(PrunedBertIntentClassifierConfig(response_selection=switched_on)) == switched_on


def test_the_manifest_gives_the_head_back():
    manifest = {"labels": [], **HEAD.to_manifest(MeasuredLayer(None, temperature=1.5))}
    assert manifest["responses"] == {"labels": list(LABELS), "temperature": 1.5}
    assert heads_of(manifest) == (HEAD,) and ResponseHead.from_manifest({}) is None
    assert HEAD.to_manifest(None)["responses"]["temperature"] == 1.0


def loss_of(logits, classes, loss=None, soft_targets=None):
    return HEAD.losses(tf.constant(logits), tf.constant(classes, tf.int32), loss or LabelLoss([HEAD]), soft_targets)


@given(st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_the_loss_is_the_cross_entropy_within_the_retrieval_intent(label, seed):
    logits = np.random.default_rng(seed).normal(size=(1, 6)).astype(np.float32)
    own = INTENTS == INTENTS[label]
    expected = np.log(np.exp(logits[0, own]).sum()) - logits[0, label]
    assert loss_of(logits, [label]).numpy() == pytest.approx([expected], abs=1e-5)
    others = np.where(own, logits, logits + 7.0).astype(np.float32)  # logits of other retrieval intents do not matter
    assert loss_of(others, [label]).numpy() == pytest.approx([expected], abs=1e-5)


def test_messages_of_other_intents_have_no_loss_and_no_gradient():
    logits = tf.Variable(np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32))
    with tf.GradientTape() as tape:
        losses = HEAD.losses(logits, tf.constant([NO_LABEL, 5]), LabelLoss([HEAD]), None)
    assert losses.numpy().tolist() == [0.0, 0.0], "the only response of its intent is always right"
    assert not np.any(tape.gradient(losses, logits))


def test_a_teacher_teaches_within_the_retrieval_intent():
    rng = np.random.default_rng(1)
    logits, teacher = rng.normal(size=(2, 1, 6)).astype(np.float32)
    loss = DistillationLoss(None, DistillationConfig(), [HEAD])
    moved = np.where(INTENTS == 1, teacher, teacher + 3.0).astype(np.float32)
    one, other = (loss_of(logits, [3], loss, tf.constant(targets)).numpy() for targets in (teacher, moved))
    assert one == pytest.approx(other, abs=1e-5)
    assert loss_of(teacher, [3], loss, tf.constant(teacher)).numpy() < one


def separable(count=120, seed=0):
    """Features of messages whose responses are linearly separable."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 6, count)
    features = rng.normal(size=(6, 8))[classes] + 0.05 * rng.normal(size=(count, 8))
    return features.astype(np.float32), classes.astype(np.int32)


@pytest.mark.parametrize("fit", ["fit_layer", "probe"])
def test_layers_are_fitted_to_one_retrieval_intent_at_a_time(fit):
    features, classes = separable()
    kernel, bias = getattr(HEAD, fit)(features, classes, seed=0)
    logits = HEAD.compared(features @ kernel + bias, classes)
    assert (logits.argmax(axis=1) == classes).mean() > 0.95
    assert not kernel[:, 5].any() and bias[5] == 0.0, "the only response of an intent has nothing to learn"
    chosen = np.flatnonzero(INTENTS[classes] == 0)
    alone = getattr(HEAD, fit)(features[chosen], classes[chosen], seed=0)
    np.testing.assert_allclose(alone[0][:, :2], kernel[:, :2], atol=1e-5)
    assert not alone[0][:, 2:].any(), "an intent without messages keeps zeros"


def test_scores_are_those_within_the_retrieval_intents():
    logits = np.full((3, 6), -5.0, np.float32)
    logits[:, 0] = 9.0  # `chat/a` is of another retrieval intent than the second message
    logits[1, 3] = 1.0
    score = HEAD.score(logits, np.array([0, 3, NO_LABEL]), None)
    assert score.to_dict()["responses_accuracy"] == 1.0


def test_what_an_export_keeps():
    kept = HEAD.compared_classes(np.array([3, NO_LABEL, 5]))
    assert kept.tolist() == [[False, False, True, True, True, False], [False] * 6, [False] * 5 + [True]]


def test_held_out_messages_choose_the_layer_and_its_temperature():
    classes = np.array([0, 1, 0, 1] * 10)
    right = np.where(np.arange(6) == classes[:, np.newaxis], 2.0, 0.0).astype(np.float32)
    wrong = np.roll(right[:, :2], 1, axis=1)
    wrong = np.pad(wrong, ((0, 0), (0, 4)), constant_values=-1e9)
    right = HEAD.compared(right, classes)
    kept = HEAD.measure([ObservedLayers(classes, right, wrong)])
    measured = HEAD.measure([ObservedLayers(classes, wrong, right)])
    assert not kept.refit and kept.score == measured.score == evaluate(right, classes, prefix=HEAD.prefix)
    assert measured.refit and measured.accuracies == {"head": 0.0, "refit": 1.0} and measured.temperature < 1.0
    assert HEAD.measure([ObservedLayers(classes[:0], right[:0], wrong[:0])]) is None
    assert set(HEAD.refitted(lambda: separable()[0], separable()[1], measured, seed=0)) == {
        "selector.kernel",
        "selector.bias",
    }
    assert HEAD.refitted(lambda: separable()[0], separable()[1], MeasuredLayer(None, refit=False), seed=0) == {}
