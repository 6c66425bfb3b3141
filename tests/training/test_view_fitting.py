"""Fitting the views of a message on training messages alone."""

import numpy as np
import pytest

from rasa_compressed_bert.config import OutOfScopeConfig
from rasa_compressed_bert.training import view_fitting
from rasa_compressed_bert.training.scope import find_threshold, fit_decision
from rasa_compressed_bert.training.view_fitting import (
    Observations,
    fit_characters,
    message_folds,
    refit_classifier,
    stratified_folds,
)
from rasa_compressed_bert.training.voting import HeldOutEvidence, Voting, choose_weights, clear_gain, fit_power
from rasa_compressed_bert.views.decision import IntentDecision, Pooled
from rasa_compressed_bert.views.view import Evidence, Reading

OPTIONS = OutOfScopeConfig()
SUBJECTS = {"weather": "rain sun snow wind storm".split(), "music": "song band album guitar piano".split()}
FRAMES = ["tell me about the {}", "I want {} now", "what about {}", "is there {}", "{} please", "more {}"]


def messages():
    pairs = [
        (frame.format(word), index)
        for index, words in enumerate(SUBJECTS.values())
        for word in words
        for frame in FRAMES
    ]
    return [text for text, _ in pairs], np.array([label for _, label in pairs])


def observed(texts, classes, num_classes=2, seed=0):
    """Observations with features clustered by class and logits to match."""
    rng = np.random.default_rng(seed)
    centres = 3.0 * np.eye(8)[:num_classes]
    features = (centres[classes] + rng.normal(size=(len(classes), 8))).astype(np.float32)
    return Observations(texts, classes, features[:, :num_classes], features)


def certain(classes, right, num_classes=3):
    """The evidence of a view that is right for some messages and predicts the next class for the others."""
    found = []
    for label, is_right in zip(classes, right):
        row = np.full(num_classes, 0.1)
        row[label if is_right else (label + 1) % num_classes] += 0.7
        found.append(Evidence(row, np.zeros(num_classes)))
    return found


def test_views_are_equal_unless_one_is_clearly_better():
    classes = np.arange(60) % 3
    everywhere, nowhere = np.ones(60, bool), np.zeros(60, bool)
    alike = {name: certain(classes, everywhere) for name in ("classifier", "neighbours", "characters")}
    weights = choose_weights(HeldOutEvidence(classes, alike), with_features=True)
    assert list(weights.values()) == pytest.approx([1 / 3] * 3)
    misleading = {**alike, "neighbours": certain(classes, nowhere), "characters": certain(classes, nowhere)}
    chosen = choose_weights(HeldOutEvidence(classes, misleading), with_features=True)
    assert chosen["classifier"] >= 0.5


def test_a_clear_gain_is_more_than_two_standard_errors():
    usual = np.array([True] * 50 + [False] * 50)
    few, many = usual.copy(), usual.copy()
    few[50:53] = True
    many[50:70] = True
    assert clear_gain(few, usual) == 0  # a gain of 3 is less than 2 sqrt(3)
    assert clear_gain(many, usual) == 20
    assert clear_gain(usual, many) == 0


def test_without_mistakes_confidences_stay_below_one():
    classes = np.arange(30) % 3
    evidence = {"classifier": certain(classes, np.ones(30, bool))}
    power = fit_power(HeldOutEvidence(classes, evidence), {"classifier": 1.0})
    sharpened = np.array([0.8, 0.1, 0.1]) ** power
    assert sharpened[0] / sharpened.sum() == pytest.approx(30 / 31, abs=0.01)


def test_mistakes_make_confidences_moderate():
    classes = np.arange(60) % 3
    evidence = {"classifier": certain(classes, np.arange(60) % 2 == 0)}
    power = fit_power(HeldOutEvidence(classes, evidence), {"classifier": 1.0})
    sharpened = np.array([0.8, 0.1, 0.1]) ** power
    assert 0.4 < sharpened[0] / sharpened.sum() < 0.6


@pytest.mark.parametrize("recall", [0.8, 0.9, 0.95, 1.0])
def test_in_scope_recall_is_that_of_the_option(recall):
    fitted = fit_decision(observed(*messages()), OutOfScopeConfig(in_scope_recall=recall), seed=0)
    assert recall - 0.02 <= fitted.report["in_scope_recall"] <= min(1.0, recall + 0.05)


def test_a_higher_recall_has_a_lower_threshold():
    found = [fit_decision(observed(*messages()), OutOfScopeConfig(in_scope_recall=r), seed=0) for r in (0.99, 0.9, 0.7)]
    thresholds = [fitted.confidence_map.familiarity for fitted in found]
    assert thresholds == sorted(thresholds)


def test_nonsense_falls_below_the_threshold_and_messages_do_not():
    texts, classes = messages()
    training = observed(texts, classes)
    fitted = fit_decision(training, OPTIONS, seed=0)
    decide = IntentDecision(fitted.views, fitted.weights, fitted.confidence_map)
    kept = [decide.confidences(reading).max() >= 0.3 for reading in training.readings()]
    assert np.mean(kept) >= 0.95
    rng = np.random.default_rng(1)
    for text in ("asdkjh qwe", "😀", "zzz"):
        features = rng.normal(size=8).astype(np.float32)
        assert decide.confidences(Reading(text, features[:2], features)).max() < 0.3


def test_known_messages_out_of_scope_lower_the_threshold_where_they_are_far_away():
    training = observed(*messages())
    rng = np.random.default_rng(2)
    features = rng.normal(size=(20, 8)).astype(np.float32) * np.array([0, 0, 1, 1, 1, 1, 1, 1], np.float32)
    outside = Observations([f"qqq {n}" for n in range(20)], np.full(20, -1), features[:, :2], features)
    strict = OutOfScopeConfig(in_scope_recall=0.5)
    without = fit_decision(training, strict, seed=0).confidence_map.familiarity
    assert fit_decision(training, strict, out_of_scope=outside, seed=0).confidence_map.familiarity < without


@pytest.mark.parametrize(
    "outside",
    [
        *(pytest.param(np.linspace(0.0, 0.4, count), id=f"{count} messages") for count in (10, 11, 12, 21, 101)),
        pytest.param(np.repeat([0.2, 0.4], 20), id="many as familiar as the tenth"),
        pytest.param(np.full(12, 0.3), id="all equally familiar"),
    ],
)
def test_a_lower_threshold_still_rejects_nine_of_ten_known_messages_out_of_scope(outside):
    """Rasa rejects a confidence below its threshold, not one that equals it."""

    def pooled(familiarity):
        return Pooled(np.array([0.9, 0.1]), float(familiarity))

    inside = [pooled(familiarity) for familiarity in np.linspace(0.6, 1.0, 100)]
    found = find_threshold(inside, 1.0, OPTIONS, [pooled(familiarity) for familiarity in outside])
    assert found.familiarity < find_threshold(inside, 1.0, OPTIONS).familiarity
    rejected = [found.confidences(pooled(familiarity)).max() < found.threshold for familiarity in outside]
    assert np.mean(rejected) >= 0.9
    assert found.familiarity <= outside.max() + 0.01


def test_messages_of_an_out_of_scope_intent_need_not_be_familiar():
    texts, classes = messages()
    odd = ["qpwo", "zmxn", "vbnt", "lkjh", "ytre", "xcvx"]
    together = observed([*texts, *odd], np.concatenate([classes, np.full(len(odd), 2)]), num_classes=3)
    usual = fit_decision(together, OPTIONS, seed=0)
    apart = fit_decision(together, OPTIONS, out_of_scope_class=2, seed=0)
    assert apart.report["compared_messages"] == usual.report["compared_messages"] - len(odd)
    assert apart.confidence_map.familiarity >= usual.confidence_map.familiarity
    assert (apart.confidence_map.out_of_scope_class, usual.confidence_map.out_of_scope_class) == (2, None)


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param([0], id="one message"),
        pytest.param([0] * 10, id="one intent"),
        pytest.param(list(range(8)), id="one example an intent"),
        pytest.param([0] * 9 + [1], id="one example of one intent"),
        pytest.param([n // 2 for n in range(40)], id="two examples an intent"),
    ],
)
def test_few_examples(classes):
    classes = np.array(classes)
    count = int(classes.max()) + 1
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(classes), 12)).astype(np.float32)
    texts = [f"message {n} of {label}" for n, label in enumerate(classes)]
    training = Observations(texts, classes, rng.normal(size=(len(classes), count)).astype(np.float32), features)
    fitted = fit_decision(training, OPTIONS, seed=0)
    decide = IntentDecision(fitted.views, fitted.weights, fitted.confidence_map)
    for reading in training.readings():
        confidences = decide.confidences(reading)
        assert np.isfinite(confidences).all() and confidences.sum() <= 1.0 + 1e-9


def test_without_features_there_are_characters():
    texts, classes = messages()
    fitted = fit_decision(Observations(texts, classes, np.zeros((len(texts), 2)), None), OPTIONS, seed=0)
    assert list(fitted.views) == ["classifier", "characters"]
    stored = len(fitted.views["characters"].tensors()["message.rows"]) - 1
    assert 0 < stored <= len(texts)
    assert (fitted.report["detector"], fitted.report["stored_messages"]) == ("characters", stored)
    assert fit_decision(observed(texts, classes), OPTIONS, seed=0).report["detector"] == "neighbours"


def test_without_features_characters_tell_what_is_familiar_though_they_have_no_vote():
    texts, classes = messages()
    weights = {"classifier": 1.0, "neighbours": 1.0, "characters": 0.0}
    training = Observations(texts, classes, np.zeros((len(texts), 2)), None)
    fitted = fit_decision(training, OPTIONS, voting=Voting(weights), seed=0)
    assert fitted.weights == {"classifier": 1.0, "characters": 0.0}
    assert fitted.confidence_map.familiarity > 0.1


def test_the_refitted_classifier_is_right_of_separable_features():
    training = observed(*messages())
    kernel, bias = refit_classifier(training.features, training.classes, 2, seed=0)
    assert np.mean((training.features @ kernel + bias).argmax(axis=1) == training.classes) > 0.95


def test_folds_spread_each_class():
    classes = np.repeat(np.arange(5), [2, 3, 4, 10, 1])
    folds = stratified_folds(classes, 2, seed=0)
    for label in range(4):
        sizes = np.bincount(folds[classes == label], minlength=2)
        assert abs(sizes[0] - sizes[1]) <= 1


def test_another_spelling_of_a_message_does_not_make_it_familiar():
    """Each message is compared with the others; two that differ only in case count as the same message."""
    texts, classes, *_ = messages()
    spelt = [*texts, *(text.upper() for text in texts)]
    folds = message_folds(spelt, np.tile(classes, 2), 5, seed=0)
    assert np.array_equal(folds[: len(texts)], folds[len(texts) :])
    assert np.array_equal(folds[: len(texts)], stratified_folds(classes, 5, seed=0))
    plain = observed(texts, classes)
    features = np.tile(plain.features, (2, 1))
    twice = Observations(spelt, np.tile(classes, 2), features[:, :2], features)
    thresholds = [fit_decision(own, OPTIONS, seed=0).confidence_map.familiarity for own in (plain, twice)]
    assert thresholds[1] < thresholds[0] + 0.05


def test_with_very_many_intents_messages_stay_above_the_threshold():
    classes = np.repeat(np.arange(80), 2)
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(80)]
    texts = [f"{words[label]} number {copy}" for copy, label in enumerate(classes)]
    features = (rng.normal(size=(80, 48))[classes] + 0.3 * rng.normal(size=(160, 48))).astype(np.float32)
    training = Observations(texts, classes, np.zeros((160, 80), np.float32), features)
    fitted = fit_decision(training, OPTIONS, seed=0)
    assert fitted.report["in_scope_recall"] >= 0.95


def test_very_many_intents_are_told_apart_by_characters_without_an_optimizer(monkeypatch):
    monkeypatch.setattr(view_fitting, "linear_probe", None)
    classes = np.repeat(np.arange(151), 2)
    texts = [
        f"{chr(97 + label % 26)}{label} {label} {'please' if place % 2 else 'now'}"
        for place, label in enumerate(classes)
    ]
    view = fit_characters(texts, classes, 151, seed=0)
    found = [view.evidence(Reading(f"a {text}", np.zeros(151), None)).probabilities for text in texts]
    assert np.mean(np.argmax(found, axis=1) == classes) > 0.95
    assert view._table.flags["C_CONTIGUOUS"]
