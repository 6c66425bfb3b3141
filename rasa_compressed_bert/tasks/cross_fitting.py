"""Held-out answers for every message, by models that are trained without them: nothing is left out of the final model.

The dense stage alone is trained again, which costs a third to half of a whole training: twice, each time on half of a
small training set, so that every message is held out once; or once, on most of a large one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.example import NO_CLASS, Example, evenly_spaced
from rasa_compressed_bert.metrics.entities import entity_f1
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder, FoundEntity
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.tasks.dense_stage import fine_tune
from rasa_compressed_bert.tasks.view_stage import Voting
from rasa_compressed_bert.training.calibration import calibration_temperature
from rasa_compressed_bert.training.loop import predict, predict_features
from rasa_compressed_bert.training.scores import Score, evaluate, negative_log_likelihood, tags_alone
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
        """The observations of the views."""
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
    tags: List[np.ndarray] = []
    entities: List[List[FoundEntity]] = []
    logits: List[np.ndarray] = []
    refitted: List[np.ndarray] = []
    tag_logits: List[np.ndarray] = []
    evidence: Dict[str, List[Evidence]] = {}
    for fold in range(used):
        inside, outside = np.flatnonzero(assigned == fold), np.flatnonzero(assigned != fold)
        if not len(inside):
            continue
        blind = task.without_annotations(inside)
        part = replace(blind, training=blind.training[outside], examples=[task.examples[place] for place in outside])
        model = fine_tune(part, f"cross-fit ({fold + 1} of {used})", halved=True)
        held_out = blind.training[inside]
        predictions = predict(model, held_out.input_ids)
        places.append(inside)
        if predictions.tag_logits is not None and held_out.tags is not None:
            tags.extend(held_out.tags)
            tag_logits.extend(predictions.tag_logits)
            entities.extend(_entities(blind, inside, predictions.tag_logits))
        if predictions.logits is None:
            continue
        features = predict_features(model, blind.training.input_ids)
        labelled = outside[training.classes[outside] >= 0]
        kernel, bias = refit_classifier(
            features[labelled], training.classes[labelled], len(task.targets.labels), seed=task.config.random_seed
        )
        logits.append(predictions.logits)
        refitted.append(features[inside] @ kernel + bias)
        if task.config.fallback_threshold is not None:
            for name, found in _evidence(task, features, labelled, inside).items():
                evidence.setdefault(name, []).extend(found)
    if not places:
        return None
    joined = np.concatenate(places)
    result = CrossFitted(len(joined), used, Score(loss=0.0))
    if tags:
        result = _with_tags(result, [task.examples[place] for place in joined], entities, tags, tag_logits)
    if logits:
        classes = training.classes[joined]
        result = _with_intents(result, classes, np.concatenate(logits), np.concatenate(refitted), evidence)
    return result


def _folds(classes: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """The fold of each message; -1 of the only one of its intent, which is always trained on.  # (n,)"""
    folds = stratified_folds(classes, count, seed=seed)
    labels, counts = np.unique(classes[classes != NO_CLASS], return_counts=True)
    folds[np.isin(classes, labels[counts == 1])] = -1
    return folds


def _evidence(
    task: BertTask, features: np.ndarray, fitted_on: np.ndarray, inside: np.ndarray
) -> Dict[str, List[Evidence]]:
    """Evidence of each view but the classifier's, for held-out messages with an intent."""
    classes, num_classes = task.training.classes, len(task.targets.labels)

    def observed(places: np.ndarray) -> Observations:
        logits = np.zeros((len(places), num_classes), np.float32)  # which these views do not read
        texts = [task.examples[place].text for place in places]
        return Observations(texts, classes[places], logits, features[places])

    views = fit_views(observed(fitted_on), num_classes, seed=task.config.random_seed)
    readings = observed(inside[classes[inside] >= 0]).readings()
    others = {name: view for name, view in views.items() if name != "classifier"}
    return {name: [view.evidence(reading) for reading in readings] for name, view in others.items()}


def _entities(task: BertTask, places: np.ndarray, tag_logits: Sequence[np.ndarray]) -> List[List[FoundEntity]]:
    """What a model finds in messages, as a model with these targets is served."""
    decoder = EntityDecoder({**task.targets.to_manifest()["entities"], "temperature": 1.0})
    tokenizer = task.targets.tokenizer(task.start.tokenizer, task.config.max_length)
    texts = [task.examples[place].text for place in places]
    return [decoder.decode(text, tokenizer.encode(text), logits[1:-1]) for text, logits in zip(texts, tag_logits)]


def _with_tags(
    result: CrossFitted,
    examples: Sequence[Example],
    found: Sequence[Sequence[FoundEntity]],
    tags: Sequence[np.ndarray],
    tag_logits: Sequence[np.ndarray],
) -> CrossFitted:
    """Observations of entities on held-out messages: spans that lie exactly where they are annotated are right."""
    rows, known = tags_alone(tag_logits, tags)
    some = evenly_spaced(len(known), _WORDPIECES)
    spans = [[(entity.start, entity.end, *entity.label) for entity in entities] for entities in found]
    score = replace(
        result.score,
        loss=result.score.loss + (negative_log_likelihood(rows, known) if len(known) else 0.0),
        entity_f1=entity_f1([example.entities for example in examples], spans),
    )
    # never below 1: where a few messages are tagged without a mistake, every entity would be certain
    temperature = max(1.0, calibration_temperature(rows[some], known[some]))
    return replace(result, score=score, tag_temperature=temperature)


def _with_intents(
    result: CrossFitted,
    classes: np.ndarray,
    logits: np.ndarray,
    refitted: np.ndarray,
    evidence: Dict[str, List[Evidence]],
) -> CrossFitted:
    """Observations of the two heads, and of the views, on held-out messages."""
    labelled = np.flatnonzero(classes != NO_CLASS)
    if not len(labelled):
        return result
    classes = classes[labelled]
    heads = {"head": logits[labelled], "refit": refitted[labelled]}
    scores = {name: evaluate(values, classes) for name, values in heads.items()}
    accuracies = {name: float(found.accuracy or 0.0) for name, found in scores.items()}
    own, refitted_right = (heads[name].argmax(axis=1) == classes for name in ("head", "refit"))
    refit = not clear_gain(own, refitted_right)
    chosen = heads["refit" if refit else "head"]
    temperature = calibration_temperature(chosen, classes)
    head = scores["head"]
    score = replace(result.score, loss=result.score.loss + head.loss, macro_f1=head.macro_f1, accuracy=head.accuracy)
    result = replace(result, score=score, refit=refit, accuracies=accuracies, temperature=temperature)
    if not evidence:
        return result
    calibrated = [Evidence(row, np.zeros_like(row)) for row in softmax(chosen / temperature)]
    held_out = HeldOutEvidence(classes, {"classifier": calibrated, **evidence})
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
    """Observations of the views of a trained model on held-out messages."""
    cross_fitted = cross_fitted_of(artifact)
    return cross_fitted.voting if cross_fitted else Voting()
