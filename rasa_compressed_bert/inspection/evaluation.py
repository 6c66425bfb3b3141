"""Scores of a model on test messages, and its errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.stats import binomtest

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import OUT_OF_SCOPE, LabelledMessage
from rasa_compressed_bert.inspection.asking import Answers, AskedModel
from rasa_compressed_bert.metrics.confidences import (
    FALLBACK_THRESHOLD,
    ReliabilityBin,
    best_fallback,
    expected_calibration_error,
    in_scope_confidences,
    out_of_scope_auroc,
    reliability,
)
from rasa_compressed_bert.metrics.entities import entity_counts, entity_f1
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.metrics.weaknesses import most_confused, weakest

MOST_INTENTS, MOST_PAIRS, MOST_ENTITIES, MOST_MESSAGES = 15, 10, 15, 3
"""Lengths of lists, which begin with the worst; the rest is only counted, as there may be hundreds of intents."""
_BINS = 20  # of the histograms of confidences
_NO_INTENT = ""


class WeakLabel(NamedTuple):
    """An intent or entity type: its mistakes, its F1 as a share, and its number of examples in the test data."""

    name: str
    mistakes: int
    f1: float
    examples: int


class ConfusedPair(NamedTuple):
    """Messages of one intent for which another one (None: no intent) is predicted: their number, and some of them."""

    intent: str
    predicted: Optional[str]
    messages: int
    texts: Sequence[str]


@dataclass(frozen=True)
class Scope:
    """Confidences of messages that are in scope and, if there are any, of messages that are out of scope.

    Attributes:
        threshold: below it, a message counts as out of scope.
        inside: histogram of the confidences of messages in scope, as shares.
        outside: the same for messages out of scope; empty without any.
        rejected: share of the messages in scope below the threshold.
        outside_messages: number of messages out of scope.
        found: share of the messages out of scope below the threshold; None without any.
        auroc: of detecting messages out of scope; None without any.
        best_threshold: with the highest F1 of detecting messages out of scope; None without any.
        has_intent: whether the model knows the intent `out_of_scope`, which counts as a confidence of 0.
    """

    threshold: float
    inside: Sequence[float]
    outside: Sequence[float]
    rejected: float
    outside_messages: int = 0
    found: Optional[float] = None
    auroc: Optional[float] = None
    best_threshold: Optional[float] = None
    has_intent: bool = False


@dataclass(frozen=True)
class IntentResults:
    """Intents of all test messages; scores as shares.

    Attributes:
        accuracy: share of the messages whose intent is right.
        interval: the 95 % confidence interval of the accuracy (Wilson 1927).
        macro_f1: over the intents of the test data.
        tested: number of intents in the test data.
        weak: the intents with the most mistakes.
        weak_count: number of intents that are not always right.
        pairs: the most frequent confusions.
        pair_count: number of pairs of intents that are confused.
        calibration_error: expected calibration error, 15 bins.
        bins: of the reliability diagram.
        unknown: intents of the test data that the model has not learnt.
        unknown_messages: number of messages with such an intent.
        scope: confidences in scope and out of scope.
    """

    accuracy: float
    interval: Tuple[float, float]
    macro_f1: float
    tested: int
    weak: Sequence[WeakLabel]
    weak_count: int
    pairs: Sequence[ConfusedPair]
    pair_count: int
    calibration_error: float
    bins: Sequence[ReliabilityBin]
    unknown: Sequence[str]
    unknown_messages: int
    scope: Scope


@dataclass(frozen=True)
class EntityResults:
    """Entities of all test messages: micro F1 and the F1 of each type, as shares; None if the test data has none."""

    f1: Optional[float]
    count: int
    weak: Sequence[WeakLabel]
    weak_count: int


@dataclass(frozen=True)
class ResponseResults:
    """Responses of the test messages of retrieval intents; scores as shares.

    Attributes:
        messages: number of messages with a response.
        accuracy: share with the right response, given the intent.
        end_to_end: share with the right intent and the right response.
        weak: the responses with the most mistakes, given the intent.
        weak_count: number of responses that are not always right.
    """

    messages: int
    accuracy: float
    end_to_end: float
    weak: Sequence[WeakLabel]
    weak_count: int


@dataclass(frozen=True)
class Evaluation:
    """Results of a model on test messages; None for what it does not predict.

    Attributes:
        messages: number of test messages.
        median_ms: median time of a message in the components `timed` together, one thread, without Rasa.
        timed: the components that find intents, entities or responses.
        classifier: the component that decides the intent.
        intents: results for intents.
        entities: results for entities.
        responses: results for responses; None also if the test data has none.
    """

    messages: int
    median_ms: Optional[float] = None
    timed: Sequence[str] = ()
    classifier: Optional[str] = None
    intents: Optional[IntentResults] = None
    entities: Optional[EntityResults] = None
    responses: Optional[ResponseResults] = None


def evaluate(
    artifacts: Mapping[str, Artifact], messages: Sequence[LabelledMessage], out_of_scope: Sequence[str] = ()
) -> Evaluation:
    """Runs a model on test messages and scores it.

    Args:
        artifacts: artifact of each component, by the component's name in the archive.
        messages: one or more test messages, with intents and entities.
        out_of_scope: messages that fit no intent.

    Raises:
        CompressedBertError: if a component cannot be opened.
    """
    model = AskedModel(artifacts)
    if not model.classifier and not model.extractors:
        return Evaluation(len(messages))
    answers = model.ask([message.text for message in messages], name="report")
    intents = None
    if model.classifier:
        expected = [message.intent for message in messages]
        inside = in_scope_confidences(answers.intents, answers.confidences, expected)
        asked = model.ask(out_of_scope, name="report") if out_of_scope else Answers()
        outside = in_scope_confidences(asked.intents, asked.confidences)
        scope = _scope(inside, outside, threshold=_threshold(artifacts[model.classifier]))
        scope = replace(scope, has_intent=OUT_OF_SCOPE in model.intents)
        intents = _intents(messages, answers, learnt=model.intents, scope=scope)
    entities = _entities(messages, answers) if model.extractors else None
    responses = _responses(messages, answers) if model.responses else None
    median = float(np.median(answers.milliseconds))
    return Evaluation(len(messages), median, model.asked, model.classifier, intents, entities, responses)


def _threshold(artifact: Artifact) -> float:
    """The threshold of the model, or Rasa's default if it has none."""
    if "out_of_scope" not in artifact.manifest:
        return FALLBACK_THRESHOLD
    return float(artifact.manifest["views"]["confidence"]["threshold"])


def _intents(
    messages: Sequence[LabelledMessage], answers: Answers, *, learnt: Sequence[str], scope: Scope
) -> IntentResults:
    expected = [message.intent for message in messages]
    predicted = [_NO_INTENT if intent is None else intent for intent in answers.intents]
    right = [intent == found for intent, found in zip(expected, predicted)]
    names, codes = np.unique([*expected, *predicted], return_inverse=True)
    classes, given = codes[: len(expected)], codes[len(expected) :]
    weak = weakest(classes, given, most=len(names))
    pairs = most_confused(classes, given, most=len(expected))
    confused = []
    for pair in pairs[:MOST_PAIRS]:
        places = np.flatnonzero((classes == pair.label) & (given == pair.predicted))[:MOST_MESSAGES]
        texts = [messages[place].text for place in places]
        confused.append(ConfusedPair(str(names[pair.label]), str(names[pair.predicted]) or None, pair.examples, texts))
    interval = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
    unknown = [intent for intent in expected if intent not in set(learnt)]
    scores: Dict[str, float] = intent_scores(expected, predicted)
    return IntentResults(
        **scores,
        interval=(float(interval.low), float(interval.high)),
        tested=len(set(expected)),
        weak=[WeakLabel(str(names[one.label]), one.mistakes, one.f1, one.examples) for one in weak[:MOST_INTENTS]],
        weak_count=len(weak),
        pairs=confused,
        pair_count=len(pairs),
        calibration_error=expected_calibration_error(answers.confidences, right),
        bins=reliability(answers.confidences, right),
        unknown=sorted(set(unknown)),
        unknown_messages=len(unknown),
        scope=scope,
    )


def _scope(inside: Sequence[float], outside: Sequence[float], *, threshold: float) -> Scope:
    rejected = float((np.asarray(inside) < threshold).mean())
    if not outside:
        return Scope(threshold, _histogram(inside), [], rejected)
    return Scope(
        threshold,
        _histogram(inside),
        _histogram(outside),
        rejected,
        outside_messages=len(outside),
        found=float((np.asarray(outside) < threshold).mean()),
        auroc=out_of_scope_auroc(inside, outside),
        best_threshold=best_fallback(inside, outside)[0],
    )


def _histogram(confidences: Sequence[float]) -> List[float]:
    counts, _ = np.histogram(confidences, bins=_BINS, range=(0.0, 1.0))
    return (counts / len(confidences)).tolist()


def _of_type(messages: Sequence[Sequence[EntitySpan]], name: str) -> List[List[EntitySpan]]:
    return [[span for span in spans if span.entity == name] for spans in messages]


def _entities(messages: Sequence[LabelledMessage], answers: Answers) -> EntityResults:
    expected = [message.entities for message in messages]
    weak = []
    for name in sorted({span.entity for spans in expected for span in spans}):
        own, found = (_of_type(spans, name) for spans in (expected, answers.entities))
        counts = entity_counts(own, found)
        if counts.mistakes:
            weak.append(WeakLabel(name, counts.mistakes, counts.f1, counts.annotated))
    weak.sort(key=lambda one: (-one.mistakes, one.f1))
    count = sum(map(len, expected))
    return EntityResults(entity_f1(expected, answers.entities), count, weak[:MOST_ENTITIES], len(weak))


def _responses(messages: Sequence[LabelledMessage], answers: Answers) -> Optional[ResponseResults]:
    asked = [place for place, message in enumerate(messages) if message.response]
    if not asked:
        return None
    expected = [str(messages[place].response) for place in asked]
    selected = [answers.responses[place].get(messages[place].intent, _NO_INTENT) for place in asked]
    right = np.array([one == other for one, other in zip(expected, selected)])
    intents_right = np.array([messages[place].intent == answers.intents[place] for place in asked])
    names, codes = np.unique([*expected, *selected], return_inverse=True)
    weak = weakest(codes[: len(asked)], codes[len(asked) :], most=len(names))
    named = [WeakLabel(str(names[one.label]), one.mistakes, one.f1, one.examples) for one in weak[:MOST_INTENTS]]
    accuracy, end_to_end = float(right.mean()), float((right & intents_right).mean())
    return ResponseResults(len(asked), accuracy, end_to_end, named, len(weak))
