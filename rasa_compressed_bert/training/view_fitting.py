"""Fitting the views of a message, their weights, and the map to confidences, on training messages alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import MiniBatchKMeans

from rasa_compressed_bert.config import OutOfScopeConfig
from rasa_compressed_bert.training.linear_probe import linear_probe
from rasa_compressed_bert.views.characters import BUCKETS, CharacterView, SparseRows, hashed_ngrams, weighted
from rasa_compressed_bert.views.classifier import ClassifierView
from rasa_compressed_bert.views.decision import ConfidenceMap, Pooled, pool
from rasa_compressed_bert.views.neighbours import NeighbourView
from rasa_compressed_bert.views.view import Evidence, Reading, View, softmax

STRENGTH = 20.0
"""Inverse regularisation of the linear classifiers over features of length 1."""
_ITERATIONS = 40
_FOLDS = 5
_COMPARED, _ENOUGH = 3000, 600  # messages among which some are compared with the others, and how many of them suffice
_DIMENSIONS = 128
_STORED, _STORED_A_CLASS = 4000, 25  # training messages, of neighbours and of characters
_WEIGHTS = tuple(  # of classifier, neighbours and characters; the first is kept unless another one is clearly better
    dict(zip(("classifier", "neighbours", "characters"), weights))
    for weights in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 1, 0), (1, 0, 1), (1, 0, 2), (2, 1, 0))
)
_POWERS = np.exp(np.linspace(np.log(0.5), np.log(6.0), 60))


@dataclass(frozen=True)
class Observations:
    """Messages as the views read them.

    Attributes:
        texts: of the messages.
        classes: their intents, `(n,)`.
        logits: of the classifier, `(n, C)`.
        features: of its linear layer, `(n, P)`; None for a model that does not give them.
    """

    texts: Sequence[str]
    classes: np.ndarray
    logits: np.ndarray
    features: Optional[np.ndarray]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, places: np.ndarray) -> Observations:
        """Some of the messages."""
        features = None if self.features is None else self.features[places]
        texts = [self.texts[place] for place in places]
        return Observations(texts, self.classes[places], self.logits[places], features)

    def readings(self) -> List[Reading]:
        """What the views are given of each message."""
        features = [None] * len(self) if self.features is None else self.features
        return [Reading(*values) for values in zip(self.texts, self.logits, features)]


class HeldOutEvidence(NamedTuple):
    """Evidence of messages that neither the model nor the views were trained on.

    Attributes:
        classes: of the messages, `(n,)`.
        evidence: of each view, one entry a message.
    """

    classes: np.ndarray
    evidence: Mapping[str, Sequence[Evidence]]


class FittedDecision(NamedTuple):
    """The views of an artifact, how they are weighed, and what was measured."""

    views: Dict[str, View]
    weights: Dict[str, float]
    confidence_map: ConfidenceMap
    report: Dict[str, Any]


def fit_decision(
    observations: Observations,
    options: OutOfScopeConfig,
    *,
    weights: Optional[Mapping[str, float]] = None,
    power: float = 1.0,
    temperature: float = 1.0,
    out_of_scope: Optional[Observations] = None,
    out_of_scope_class: Optional[int] = None,
    seed: int,
) -> FittedDecision:
    """Fits the views on all messages, and finds the map to confidences.

    Args:
        observations: every training message with an intent, as the served model sees it.
        options: of the section `out_of_scope`.
        weights: of the views, as `choose_weights` gives them; None means equal ones.
        power: of the pooled probabilities, as `fit_power` gives it.
        temperature: of the classifier's logits.
        out_of_scope: messages that are known to be out of scope, which the threshold is moved for.
        out_of_scope_class: the user's own intent of such messages, which need not be familiar.
        seed: of folds and clusters.
    """
    num_classes = observations.logits.shape[1]
    with_features = observations.features is not None
    chosen = dict(weights) if weights else equal_weights(with_features=with_features)
    views = fit_views(observations, num_classes, temperature=temperature, seed=seed)
    views = {name: view for name, view in views.items() if chosen.get(name) or name == options.detector}
    total = sum(chosen[name] for name in views)
    chosen = {name: chosen[name] / total for name in views}
    compared, classes = _compared_with_others(observations, views, num_classes, temperature=temperature, seed=seed)
    pooled = _pooled(compared, chosen)
    in_scope = [one for one, label in zip(pooled, classes) if label != out_of_scope_class] or pooled
    outside = (
        []
        if out_of_scope is None
        else [
            pool([view.evidence(reading) for view in views.values()], list(chosen.values()))
            for reading in out_of_scope.readings()
        ]
    )
    confidence_map = find_threshold(in_scope, power, options, outside)
    report = {
        "detector": options.detector,
        "stored_messages": views["neighbours"].size if "neighbours" in views else 0,
        "in_scope_recall": float(np.mean([_is_kept(one, confidence_map) for one in in_scope])) if in_scope else 1.0,
        "compared_messages": len(in_scope),
    }
    return FittedDecision(views, chosen, confidence_map, report)


def fit_views(observations: Observations, num_classes: int, *, temperature: float = 1.0, seed: int) -> Dict[str, View]:
    """Every view that the messages allow, by name."""
    views: Dict[str, View] = {"classifier": ClassifierView(temperature)}
    if observations.features is not None:
        views["neighbours"] = fit_neighbours(observations.features, observations.classes, num_classes, seed=seed)
    views["characters"] = fit_characters(observations.texts, observations.classes, num_classes, seed=seed)
    return views


def fit_characters(texts: Sequence[str], classes: np.ndarray, num_classes: int, *, seed: int) -> CharacterView:
    """Logistic regression and centroids over the hashed n-grams of the messages."""
    frequency = np.zeros(BUCKETS, np.float64)
    for text in texts:
        frequency[hashed_ngrams(text)[0]] += 1.0
    inverse = np.where(frequency > 0, np.log((1.0 + len(texts)) / (1.0 + frequency)) + 1.0, 0.0)
    matrix = _hashed(texts, inverse)
    kernel, bias = linear_probe(matrix, classes, num_classes, seed=seed, strength=STRENGTH, iterations=_ITERATIONS)
    members = csr_matrix((np.ones(len(classes)), (classes, np.arange(len(classes)))), (num_classes, len(classes)))
    centroids = (members @ matrix).toarray()
    centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    return CharacterView(inverse, kernel, bias, centroids.T, _stored_rows(matrix, classes, num_classes, seed=seed))


def _stored_rows(matrix: csr_matrix, classes: np.ndarray, num_classes: int, *, seed: int) -> SparseRows:
    """At most `_STORED_A_CLASS` messages of each class; a class without any has one place of weight 0."""
    order = np.random.default_rng(seed).permutation(len(classes))
    rows: List[Tuple[np.ndarray, np.ndarray]] = []
    starts = [0]
    for label in range(num_classes):
        own = np.sort(order[classes[order] == label][:_STORED_A_CLASS])
        found = [(matrix[place].indices, matrix[place].data) for place in own]
        rows += [row for row in found if len(row[0])] or [(np.zeros(1, np.int64), np.zeros(1, np.float32))]
        starts.append(len(rows))
    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    places, values = (np.concatenate(parts) for parts in zip(*rows))
    return SparseRows(places, values, ends, np.array(starts))


def fit_neighbours(features: np.ndarray, classes: np.ndarray, num_classes: int, *, seed: int) -> NeighbourView:
    """The principal components of features, and the messages in them; of very many those that stand for others.

    Every class has a row: one without messages gets a row of zeros.
    """
    unit = _unit(features)
    _, vectors = np.linalg.eigh(unit.T @ unit)  # by rising variance
    components = vectors[:, ::-1][:, :_DIMENSIONS].astype(np.float32)
    projected = _unit(unit @ components)
    most = _STORED if len(classes) > _STORED else len(classes)
    rows, starts = [], []
    for label in range(num_classes):
        own = projected[classes == label]
        starts.append(sum(map(len, rows)))
        rows.append(_representatives(own, max(1, round(most * len(own) / len(classes))), seed=seed))
    return NeighbourView(components, np.concatenate(rows), np.array(starts))


def _representatives(rows: np.ndarray, most: int, *, seed: int) -> np.ndarray:
    """At most so many of the rows: those nearest to the means of clusters."""
    if not len(rows):
        return np.zeros((1, rows.shape[1]), np.float32)
    if len(rows) <= most:
        return rows
    clusters = MiniBatchKMeans(most, n_init=1, random_state=seed).fit(rows)
    return rows[np.unique((rows @ clusters.cluster_centers_.T).argmax(axis=0))]


def refit_classifier(
    features: np.ndarray, classes: np.ndarray, num_classes: int, *, seed: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of logistic regression on features that are divided by their mean length.

    Fine-tuning on a few examples leaves a head that is worse than a regularised one on the same features (BANKING77,
    five examples an intent: 75.0 against 79.5 %).
    """
    length = float(np.linalg.norm(features, axis=1).mean())
    kernel, bias = linear_probe(
        features / length, classes, num_classes, seed=seed, strength=STRENGTH, iterations=_ITERATIONS
    )
    return kernel / length, bias


def choose_weights(held_out: Optional[HeldOutEvidence], *, with_features: bool) -> Dict[str, float]:
    """Weights of the views, with the sum 1: equal ones, unless others are right clearly more often.

    A view of which nothing is left but its familiarity keeps that.
    """
    best = equal_weights(with_features=with_features)
    if held_out is not None and len(held_out.classes):
        candidates = [best, *map(dict, _WEIGHTS[1:])] if with_features else [best]
        right = [right_answers(held_out, weights) for weights in candidates]
        best = candidates[int(np.argmax([clear_gain(row, right[0]) for row in right]))]
    total = sum(best.values())
    return {name: weight / total for name, weight in best.items()}


def clear_gain(right: np.ndarray, usual: np.ndarray) -> int:
    """How many more messages are right than usually; 0 unless by more than two standard errors.

    The standard error is that of the number of messages that only one of two has right (McNemar 1947), `sqrt(b + c)`.

    Args:
        right: whether each message is, `(n,)`.
        usual: the same of what it is compared with.
    """
    gained, lost = int((right & ~usual).sum()), int((~right & usual).sum())
    return gained - lost if gained - lost > 2.0 * np.sqrt(gained + lost) else 0


def equal_weights(*, with_features: bool) -> Dict[str, float]:
    """One weight for every view."""
    return {"classifier": 1.0, "neighbours": 1.0 if with_features else 0.0, "characters": 1.0}


def right_answers(held_out: HeldOutEvidence, weights: Mapping[str, float]) -> np.ndarray:
    """Whether each held-out message is right with these weights.  # (n,)"""
    probabilities = [pooled.probabilities for pooled in _pooled(held_out.evidence, weights)]
    return np.argmax(probabilities, axis=1) == held_out.classes


def fit_power(held_out: Optional[HeldOutEvidence], weights: Mapping[str, float]) -> float:
    """The power of the pooled probabilities that makes held-out messages most likely; 1 without any.

    One answer among all is counted as wrong, as in Laplace's rule of succession: where every held-out message is right,
    confidences stay below `n / (n + 1)`.
    """
    if held_out is None or not len(held_out.classes):
        return 1.0
    logarithms = np.log(np.maximum([pooled.probabilities for pooled in _pooled(held_out.evidence, weights)], 1e-12))
    if logarithms.shape[1] < 2:
        return 1.0
    own = np.arange(len(logarithms)), held_out.classes

    def loss(power: float) -> float:
        probabilities = softmax(power * logarithms)
        wrong = np.maximum(1.0 - probabilities.max(axis=1), 1e-12)
        return float(-np.log(np.maximum(probabilities[own], 1e-12)).sum() - np.log(wrong).mean())

    return float(min(_POWERS, key=loss))


def find_threshold(
    pooled: Sequence[Pooled], power: float, options: OutOfScopeConfig, out_of_scope: Sequence[Pooled] = ()
) -> ConfidenceMap:
    """The highest familiarity that `in_scope_recall` of the messages reach, and the scale of familiarities above it.

    Args:
        pooled: evidence of training messages, each compared with the others.
        power: of the pooled probabilities.
        options: of the section `out_of_scope`.
        out_of_scope: evidence of known messages out of scope: where a lower threshold still rejects nine of ten of
            them, it is taken.
    """
    if not pooled:  # a single message has nothing to be compared with
        return ConfidenceMap(power, _NO_COMPARISON, 1.0, options.threshold)
    wanted = int(np.ceil(options.in_scope_recall * len(pooled)))
    familiarities = np.array([one.familiarity for one in pooled])
    power, probable = _with_enough_probable(pooled, power, options.threshold, wanted)
    own = np.sort(familiarities[probable])
    threshold = float(own[max(0, len(own) - wanted)])
    if len(out_of_scope) >= _FEWEST_OUTSIDE:
        threshold = min(threshold, float(np.quantile([one.familiarity for one in out_of_scope], _OUTSIDE_BELOW)))
    scale = max((float(np.median(familiarities)) - threshold) / _RAMP, 1e-3)
    return ConfidenceMap(power, threshold, scale, options.threshold)


def _with_enough_probable(
    pooled: Sequence[Pooled], power: float, threshold: float, wanted: int
) -> Tuple[float, np.ndarray]:
    """A power, raised until enough messages have an intent at least as probable as the threshold, and which have.

    With very many intents the most probable one of a message may have little, though it stands out.
    """
    logarithms = np.log(np.maximum([one.probabilities for one in pooled], 1e-12))
    for raised in (power, *power * _RAISED):
        probable = softmax(raised * logarithms).max(axis=1) >= threshold
        if probable.sum() >= wanted:
            break
    return float(raised), probable if probable.any() else np.ones(len(pooled), bool)


_FEWEST_OUTSIDE, _OUTSIDE_BELOW = 10, 0.9
_RAISED = np.linspace(1.1, 20.0, 40)
_NO_COMPARISON = 0.5  # a familiarity that a message with half of its words in common reaches
_RAMP = 4.0  # scales between the threshold and the median: the larger, the sooner confidences are the probabilities


def _is_kept(pooled: Pooled, confidence_map: ConfidenceMap) -> bool:
    return bool(confidence_map.confidences(pooled).max() >= confidence_map.threshold)


def _pooled(evidence: Mapping[str, Sequence[Evidence]], weights: Mapping[str, float]) -> List[Pooled]:
    names = list(evidence)
    return [pool(said, [weights.get(name, 0.0) for name in names]) for said in zip(*(evidence[name] for name in names))]


def _compared_with_others(
    observations: Observations, views: Mapping[str, View], num_classes: int, *, temperature: float, seed: int
) -> Tuple[Dict[str, List[Evidence]], np.ndarray]:
    """Evidence, and classes, of training messages by views that were fitted without them, on the trained features.

    A fifth of the messages is compared with the other four at a time, until enough are.
    """
    order = np.random.default_rng(seed).permutation(len(observations))[:_COMPARED]
    own = observations[np.sort(order)]
    folds = stratified_folds(own.classes, _FOLDS, seed=seed)
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
            fitted["classifier"] = ClassifierView(1.0)
        for name in views:
            for place, reading in zip(inside, readings):
                evidence[name][place] = fitted[name].evidence(reading)
    asked = np.array([one is not None for one in evidence[next(iter(views))]])
    return {name: [one for one in found if one is not None] for name, found in evidence.items()}, own.classes[asked]


def stratified_folds(classes: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """The fold of each example: the examples of a class are spread over the folds.  # (n,)"""
    rng = np.random.default_rng(seed)
    folds = np.zeros(len(classes), np.int64)
    for label in np.unique(classes):
        own = rng.permutation(np.flatnonzero(classes == label))
        folds[own] = (np.arange(len(own)) + rng.integers(count)) % count
    return folds


def _hashed(texts: Sequence[str], frequency: np.ndarray) -> csr_matrix:
    """Weighted n-grams of messages.  # (n, BUCKETS)"""
    rows = [weighted(text, frequency) for text in texts]
    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    places = np.concatenate([np.zeros(0, np.int64), *(places for places, _ in rows)])
    values = np.concatenate([np.zeros(0, np.float32), *(values for _, values in rows)])
    return csr_matrix((values, places, ends), shape=(len(texts), BUCKETS))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
