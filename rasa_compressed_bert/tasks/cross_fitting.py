"""Held-out answers for every message, by models that are trained without them: nothing is left out of the final model.

The dense stage alone is trained again, which costs a third to half of a whole training: twice, each time on half of a
small training set, so that every message is held out once; or once, on most of a large one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Optional

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.example import NO_CLASS
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.tasks.dense_stage import fine_tune
from rasa_compressed_bert.tasks.view_stage import Voting
from rasa_compressed_bert.training.calibration import calibration_temperature
from rasa_compressed_bert.training.loop import predict, predict_features
from rasa_compressed_bert.training.scores import Predictions, Score, evaluate, score_of, tags_alone
from rasa_compressed_bert.training.view_fitting import Observations, fit_views, refit_classifier, stratified_folds
from rasa_compressed_bert.training.voting import HeldOutEvidence, choose_weights, clear_gain, fit_power, right_answers
from rasa_compressed_bert.views.view import Evidence, softmax

PLAIN_SPLIT_FROM = 3000
"""Messages from which one part is held out instead of two halves: 300 messages or more. A choice, not measured."""
_FEWEST = 8
_WORDPIECES = 20_000  # whose tags calibrate the confidences of entities


@dataclass(frozen=True)
class CrossFitted:
    """What was measured on held-out messages.

    Attributes:
        messages: that were held out.
        folds: models that were trained.
        score: of the dense model on them.
        refit: whether logistic regression on the features takes the place of the fine-tuned head, as it does unless
            that is clearly better.
        accuracies: of the fine-tuned head and of logistic regression on its features, as shares.
        temperature: of the intents' logits, of the head that `refit` names.
        tag_temperature: of the tags' logits, at least 1.
        weights: of the views; None without intents, or without a detector.
        power: of the views' pooled probabilities.
        pooled_accuracy: of the views together.
    """

    messages: int
    folds: int
    score: Score
    refit: bool = True
    accuracies: Optional[Dict[str, float]] = None
    temperature: float = 1.0
    tag_temperature: float = 1.0
    weights: Optional[Dict[str, float]] = None
    power: float = 1.0
    pooled_accuracy: Optional[float] = None

    @property
    def voting(self) -> Voting:
        """What is told about the views."""
        return Voting(self.weights, self.power, self.temperature, calibrated=True)


def cross_fit(task: BertTask) -> Optional[CrossFitted]:
    """Trains the dense model on parts of the messages and asks it for the others; None where too few can be held out.

    Args:
        task: all training messages; `validation_split: 0` switches this off.
    """
    share, training = task.config.validation_split, task.training
    if not share or len(training) < _FEWEST:
        return None
    folds = 2 if len(training) < PLAIN_SPLIT_FROM else round(1.0 / share)
    assigned = _folds(training.classes, folds, seed=task.config.random_seed)
    assigned[len(training) - task.num_names :] = -1  # names are no messages of users
    used = folds if len(training) < PLAIN_SPLIT_FROM else 1
    places: List[np.ndarray] = []
    logits: List[np.ndarray] = []
    refitted: List[np.ndarray] = []
    tag_logits: List[np.ndarray] = []
    evidence: Dict[str, List[Evidence]] = {}
    for fold in range(used):
        inside, outside = np.flatnonzero(assigned == fold), np.flatnonzero(assigned != fold)
        if not len(inside):
            continue
        part = replace(task, training=training[outside], texts=[task.texts[place] for place in outside])
        model = fine_tune(part, f"cross-fit ({fold + 1} of {used})", halved=True)
        predictions = predict(model, training[inside].input_ids)
        places.append(inside)
        tag_logits.extend(predictions.tag_logits or [])
        if predictions.logits is None:
            continue
        features = predict_features(model, training.input_ids)
        labelled = outside[training.classes[outside] >= 0]
        kernel, bias = refit_classifier(
            features[labelled], training.classes[labelled], len(task.targets.labels), seed=task.config.random_seed
        )
        logits.append(predictions.logits)
        refitted.append(features[inside] @ kernel + bias)
        if task.config.has_detector:
            for name, found in _evidence(task, features, labelled, inside, refitted[-1]).items():
                evidence.setdefault(name, []).extend(found)
    if not places:
        return None
    return _summary(task, np.concatenate(places), logits, refitted, tag_logits, evidence, folds=used)


def _folds(classes: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """The fold of each message; -1 of the only one of its intent, which is always trained on.  # (n,)"""
    folds = stratified_folds(classes, count, seed=seed)
    labels, counts = np.unique(classes[classes != NO_CLASS], return_counts=True)
    folds[np.isin(classes, labels[counts == 1])] = -1
    return folds


def _evidence(
    task: BertTask,
    features: np.ndarray,
    fitted_on: np.ndarray,
    inside: np.ndarray,
    logits: np.ndarray,
) -> Dict[str, List[Evidence]]:
    """Evidence of each view, for held-out messages with an intent."""
    classes, seed = task.training.classes, task.config.random_seed
    rows = np.flatnonzero(classes[inside] >= 0)
    held_out = inside[rows]
    texts = [task.texts[place] for place in fitted_on]
    zeros = np.zeros((len(fitted_on), logits.shape[1]), np.float32)
    known = Observations(texts, classes[fitted_on], zeros, features[fitted_on])
    views = fit_views(known, len(task.targets.labels), seed=seed)
    asked = Observations(
        [task.texts[place] for place in held_out], classes[held_out], logits[rows], features[held_out]
    )
    return {name: [view.evidence(reading) for reading in asked.readings()] for name, view in views.items()}


def _summary(
    task: BertTask,
    places: np.ndarray,
    logits: List[np.ndarray],
    refitted: List[np.ndarray],
    tag_logits: List[np.ndarray],
    evidence: Dict[str, List[Evidence]],
    *,
    folds: int,
) -> CrossFitted:
    examples = task.training[places]
    joined = np.concatenate(logits) if logits else None
    score = score_of(Predictions(joined, tag_logits or None), examples)
    result = CrossFitted(len(places), folds, score)
    if tag_logits:
        rows, tags = tags_alone(tag_logits, examples.tags)
        some = np.arange(min(len(tags), _WORDPIECES)) * len(tags) // max(1, min(len(tags), _WORDPIECES))
        # never below 1: where a few messages are tagged without a mistake, every entity would be certain
        result = replace(result, tag_temperature=max(1.0, calibration_temperature(rows[some], tags[some])))
    labelled = np.flatnonzero(examples.classes >= 0)
    if joined is None or not len(labelled):
        return result
    classes = examples.classes[labelled]
    heads = {"head": joined[labelled], "refit": np.concatenate(refitted)[labelled]}
    scores = {name: evaluate(values, classes) for name, values in heads.items()}
    accuracies = {name: float(found.accuracy or 0.0) for name, found in scores.items()}
    own, refitted_right = (heads[name].argmax(axis=1) == classes for name in ("head", "refit"))
    refit = not clear_gain(own, refitted_right)
    chosen = heads["refit" if refit else "head"]
    temperature = calibration_temperature(chosen, classes)
    result = replace(result, refit=refit, accuracies=accuracies, temperature=temperature)
    if not evidence:
        return result
    calibrated = [Evidence(row, np.zeros_like(row)) for row in softmax(chosen / temperature)]
    held_out = HeldOutEvidence(classes, {**evidence, "classifier": calibrated})
    weights = choose_weights(held_out, with_features=True)
    return replace(
        result,
        weights=weights,
        power=fit_power(held_out, weights),
        pooled_accuracy=float(np.mean(right_answers(held_out, weights))),
    )


def cross_fitted_of(artifact: Artifact) -> Optional[CrossFitted]:
    """What was measured when an artifact was trained first; None where nothing was."""
    stored = artifact.manifest.get("cross_fitted")
    return CrossFitted(**{**stored, "score": Score(**stored["score"])}) if stored else None


def voting_of(artifact: Artifact) -> Voting:
    """What held-out messages told about the views of a trained model."""
    cross_fitted = cross_fitted_of(artifact)
    return cross_fitted.voting if cross_fitted else Voting()
