"""Finds the threshold below which a message is out of scope, on training messages alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.config import OutOfScopeConfig
from rasa_compressed_bert.training.view_fitting import Observations, fit_views, message_folds, refit_classifier
from rasa_compressed_bert.training.voting import UNMEASURED, Voting, equal_weights, pooled_evidence
from rasa_compressed_bert.views.characters import CharacterView
from rasa_compressed_bert.views.decision import ConfidenceMap, Pooled, pool
from rasa_compressed_bert.views.neighbours import NeighbourView
from rasa_compressed_bert.views.view import Evidence, View, softmax

_FOLDS = 5
_COMPARED, _ENOUGH = 3000, 600  # messages that are sampled, and how many of them it suffices to compare with the rest
_OUTSIDE_BELOW = 0.9
FEWEST_OUTSIDE = 10
"""Messages that are known to be out of scope; fewer do not change the threshold."""
_APART = 1e-3  # by which a threshold is above equal familiarities, as views are rounded when they are stored
_RAISED = np.linspace(1.1, 20.0, 40)
_NO_COMPARISON = 0.5  # a familiarity that a message with half of its words in common reaches
_RAMP = 8.0  # from threshold to median, in scales: the larger, the faster confidences approach the probabilities


class FittedDecision(NamedTuple):
    """The views of an artifact, their weights, the map to confidences, and a report of the measurements."""

    views: Dict[str, View]
    weights: Dict[str, float]
    confidence_map: ConfidenceMap
    report: Dict[str, Any]


def fit_decision(
    observations: Observations,
    options: OutOfScopeConfig,
    *,
    voting: Voting = UNMEASURED,
    num_names: int = 0,
    out_of_scope: Optional[Observations] = None,
    out_of_scope_class: Optional[int] = None,
    seed: int,
) -> FittedDecision:
    """Fits the views on all messages, and finds the map to confidences.

    Args:
        observations: all training messages with an intent, with the outputs of the served model.
        options: the section `out_of_scope`.
        voting: the weights of the views, the power and the temperature.
        num_names: how many of the messages, at the end, are names of intents; views are fitted on them too, but the
            threshold is not.
        out_of_scope: messages that are known to be out of scope, for which the threshold may be lowered.
        out_of_scope_class: the user's own intent of out-of-scope messages, which need not be familiar.
        seed: for folds and samples.
    """
    num_classes = observations.logits.shape[1]
    with_features = observations.features is not None
    chosen = dict(voting.weights or equal_weights(with_features=with_features))
    views = fit_views(observations, num_classes, temperature=voting.temperature, seed=seed)
    detector = options.detector if with_features else "characters"  # the view that is kept for familiarity
    views = {name: view for name, view in views.items() if chosen.get(name) or name == detector}
    total = sum(chosen[name] for name in views)
    chosen = {name: chosen[name] / total for name in views}
    compared, classes = _compared_with_others(
        observations, views, num_classes, temperature=voting.temperature, num_names=num_names, seed=seed
    )
    pooled = pooled_evidence(compared, chosen)
    in_scope = [one for one, label in zip(pooled, classes) if label != out_of_scope_class] or pooled
    outside = (
        []
        if out_of_scope is None
        else [
            pool([view.evidence(reading) for view in views.values()], list(chosen.values()))
            for reading in out_of_scope.readings()
        ]
    )
    found = find_threshold(in_scope, voting.power, options, outside)
    confidence_map = replace(found, out_of_scope_class=out_of_scope_class)
    compared_to = views[detector]
    report = {
        "detector": detector,
        "stored_messages": compared_to.size if isinstance(compared_to, (NeighbourView, CharacterView)) else 0,
        "in_scope_recall": float(np.mean([_is_kept(one, confidence_map) for one in in_scope])) if in_scope else 1.0,
        "compared_messages": len(in_scope),
    }
    return FittedDecision(views, chosen, confidence_map, report)


def find_threshold(
    pooled: Sequence[Pooled], power: float, options: OutOfScopeConfig, out_of_scope: Sequence[Pooled] = ()
) -> ConfidenceMap:
    """The highest familiarity that the share `in_scope_recall` of the messages reaches, and the scale above it.

    Args:
        pooled: evidence of training messages, each compared with the others.
        power: the exponent of the pooled probabilities.
        options: the section `out_of_scope`.
        out_of_scope: evidence of messages that are known to be out of scope; if a lower threshold still rejects nine of
            ten of them, it is used instead.
    """
    if not pooled:  # a single message has nothing to be compared with
        return ConfidenceMap(power, _NO_COMPARISON, 1.0, options.threshold)
    wanted = int(np.ceil(options.in_scope_recall * len(pooled)))
    familiarities = np.array([one.familiarity for one in pooled])
    power, probable = _with_enough_probable(pooled, power, options.threshold, wanted)
    own = np.sort(familiarities[probable])
    threshold = float(own[max(0, len(own) - wanted)])
    if len(out_of_scope) >= FEWEST_OUTSIDE:
        threshold = min(threshold, _just_above([one.familiarity for one in out_of_scope], _OUTSIDE_BELOW))
    scale = max((float(np.median(familiarities)) - threshold) / _RAMP, 1e-3)
    return ConfidenceMap(power, threshold, scale, options.threshold)


def _just_above(familiarities: Sequence[float], share: float) -> float:
    """A threshold above at least this share of the familiarities, midway to the next higher one if there is any."""
    ranked = np.sort(familiarities)
    highest = float(ranked[int(np.ceil(share * len(ranked))) - 1])
    others = ranked[ranked > highest]
    return (highest + float(others[0])) / 2 if len(others) else highest + _APART


def _with_enough_probable(
    pooled: Sequence[Pooled], power: float, threshold: float, wanted: int
) -> Tuple[float, np.ndarray]:
    """Raises the power until enough messages have an intent that reaches the threshold, and returns which have.

    With very many intents, the probability of the most probable one may be low although it stands out.
    """
    logarithms = np.log(np.maximum([one.probabilities for one in pooled], 1e-12))
    for raised in (power, *power * _RAISED):
        probable = softmax(raised * logarithms).max(axis=1) >= threshold
        if probable.sum() >= wanted:
            break
    return float(raised), probable if probable.any() else np.ones(len(pooled), bool)


def _is_kept(pooled: Pooled, confidence_map: ConfidenceMap) -> bool:
    confidences = confidence_map.confidences(pooled)
    best = int(confidences.argmax())
    return best != confidence_map.out_of_scope_class and confidences[best] >= confidence_map.threshold


def _compared_with_others(
    observations: Observations,
    views: Mapping[str, View],
    num_classes: int,
    *,
    temperature: float,
    num_names: int,
    seed: int,
) -> Tuple[Dict[str, List[Evidence]], np.ndarray]:
    """Evidence for training messages from views that were fitted without them, and the classes of these messages.

    Each fifth of the messages in turn is compared with the other four, until enough messages have been. The features
    come from the final model, which was trained on all messages.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(observations))[:_COMPARED])
    own = observations[chosen]
    folds = message_folds(own.texts, own.classes, _FOLDS, seed=seed)
    folds[chosen >= len(observations) - num_names] = -1  # never compared
    evidence: Dict[str, List[Optional[Evidence]]] = {name: [None] * len(own) for name in views}
    compared = 0
    for fold in range(_FOLDS):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(inside) or not len(outside):
            continue
        if compared >= _ENOUGH:
            break
        compared += len(inside)
        fitted = fit_views(own[outside], num_classes, temperature=temperature, seed=seed)
        readings = own[inside].readings()
        if own.features is not None:
            kernel, bias = refit_classifier(own.features[outside], own.classes[outside], num_classes, seed=seed)
            logits = own.features[inside] @ kernel + bias
            readings = [reading._replace(logits=row) for reading, row in zip(readings, logits)]
        for name in views:
            for place, reading in zip(inside, readings):
                evidence[name][place] = fitted[name].evidence(reading)
    asked = np.array([one is not None for one in evidence[next(iter(views))]])
    return {name: [one for one in found if one is not None] for name, found in evidence.items()}, own.classes[asked]
