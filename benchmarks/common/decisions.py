"""Decisions of Rasa's FallbackClassifier on a classifier's answers at several thresholds, and their scores."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
from rasa.nlu.classifiers.fallback_classifier import THRESHOLD_KEY, FallbackClassifier
from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, INTENT_RANKING_KEY, PREDICTED_CONFIDENCE_KEY
from rasa.shared.nlu.training_data.message import Message
from sklearn.metrics import matthews_corrcoef

from benchmarks.common.hint3 import OUT_OF_SCOPE
from rasa_compressed_bert.metrics.confidences import (
    FALLBACK_THRESHOLD,
    expected_calibration_error,
    out_of_scope_auroc,
)

THRESHOLDS = tuple(tenth / 10 for tenth in range(1, 10))
Answer = Mapping[str, Any]  # see `served.served`


def decided(answers: Sequence[Answer], threshold: float) -> List[str]:
    """The intents that a bot acts on; `OUT_OF_SCOPE` if Rasa falls back, or if there is no intent.

    Args:
        answers: the answers of a classifier.
        threshold: the threshold of FallbackClassifier, whose `ambiguity_threshold` keeps its default.
    """
    messages = [Message(_data(answer)) for answer in answers]
    FallbackClassifier({**FallbackClassifier.get_default_config(), THRESHOLD_KEY: threshold}).process(messages)
    intents = [message.get(INTENT)[INTENT_NAME_KEY] for message in messages]
    return [OUT_OF_SCOPE if intent in (None, DEFAULT_NLU_FALLBACK_INTENT_NAME) else intent for intent in intents]


def figures(expected: Sequence[str], decisions: Sequence[str]) -> Dict[str, float]:
    """Accuracy, in-scope accuracy, recall of messages out of scope, and Matthews correlation, as HINT3 computes them.

    Args:
        expected: the intent of each message, or `OUT_OF_SCOPE`.
        decisions: the decision of a bot for each message, in the same form.
    """
    right = np.array([intent == decision for intent, decision in zip(expected, decisions)])
    outside = _is_outside(expected)
    return {
        "accuracy": float(right.mean()),
        "inscope_accuracy": float(right[~outside].mean()),
        "oos_recall": float(right[outside].mean()),
        "mcc": float(matthews_corrcoef(expected, decisions)),
    }


def scores(expected: Sequence[str], answers: Sequence[Answer]) -> Dict[str, Any]:
    """`figures` at each of `THRESHOLDS`, and the quality of confidences without a fallback.

    Args:
        expected: the intent of each message, or `OUT_OF_SCOPE`.
        answers: the answers of a classifier.

    Returns:
        `thresholds`; `out_of_scope_auroc`, of the confidence of the best intent; `calibration_error` of messages in
        scope; and `below_threshold`, the share of those with a confidence below Rasa's default threshold.
    """
    outside = _is_outside(expected)
    confidences = np.array([answer["confidence"] for answer in answers])
    right = np.array([answer["intent"] == intent for answer, intent in zip(answers, expected)])
    inside = confidences[~outside]
    return {
        "thresholds": [
            {"threshold": threshold, **figures(expected, decided(answers, threshold))} for threshold in THRESHOLDS
        ],
        "out_of_scope_auroc": out_of_scope_auroc(inside.tolist(), confidences[outside].tolist()),
        "calibration_error": expected_calibration_error(inside.tolist(), right[~outside].tolist()),
        "below_threshold": float((inside < FALLBACK_THRESHOLD).mean()),
    }


def _is_outside(expected: Sequence[str]) -> np.ndarray:
    return np.array([intent == OUT_OF_SCOPE for intent in expected])  # (n,)


def _data(answer: Answer) -> Dict[str, Any]:
    """What a classifier writes to a message."""
    ranking = [_entry(intent, confidence) for intent, confidence in answer["ranking"]]
    return {INTENT: _entry(answer["intent"], answer["confidence"]), INTENT_RANKING_KEY: ranking}


def _entry(intent: Any, confidence: float) -> Dict[str, Any]:
    return {INTENT_NAME_KEY: intent, PREDICTED_CONFIDENCE_KEY: confidence}
