"""Chooses the weights of the views on messages that neither the views nor the model were trained on."""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.views.decision import Pooled, pool
from rasa_compressed_bert.views.view import Evidence, softmax

# candidate weights; the first, equal ones, are kept unless others are clearly better
_WEIGHTS: Tuple[Dict[str, float], ...] = tuple(
    dict(zip(("classifier", "neighbours", "characters"), weights))
    for weights in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 1, 0), (1, 0, 1), (1, 0, 2), (2, 1, 0))
)
_POWERS = np.exp(np.linspace(np.log(0.5), np.log(6.0), 60))


class Voting(NamedTuple):
    """The weights of the views, and the calibration of their probabilities.

    Attributes:
        weights: the weights of the views by name; None for equal weights.
        power: the exponent of the pooled probabilities.
        temperature: the temperature of the classifier's logits.
        calibrated: whether these values were fitted to held-out messages.
    """

    weights: Optional[Dict[str, float]] = None
    power: float = 1.0
    temperature: float = 1.0
    calibrated: bool = False


UNMEASURED = Voting()
"""The defaults, if no messages were held out."""


class HeldOutEvidence(NamedTuple):
    """Evidence for messages that neither the model nor the views were trained on.

    Attributes:
        classes: the intents of the messages, `(n,)`.
        evidence: the evidence of each view, by its name; one entry for each message.
    """

    classes: np.ndarray
    evidence: Mapping[str, Sequence[Evidence]]


def choose_weights(held_out: Optional[HeldOutEvidence], *, with_features: bool) -> Dict[str, float]:
    """Weights of the views, with a sum of 1: equal weights, unless others are clearly more accurate.

    A view with weight 0 still contributes its familiarity.
    """
    best = equal_weights(with_features=with_features)
    if held_out is not None and len(held_out.classes):
        candidates = [best, *_WEIGHTS[1:]] if with_features else [best]
        right = [right_answers(held_out, weights) for weights in candidates]
        best = candidates[int(np.argmax([clear_gain(row, right[0]) for row in right]))]
    total = sum(best.values())
    return {name: weight / total for name, weight in best.items()}


def clear_gain(right: np.ndarray, usual: np.ndarray) -> int:
    """How many more messages are right than with a baseline; 0 if by no more than two standard errors.

    The standard error is `sqrt(b + c)`, of the messages that exactly one of the two classifies right (McNemar 1947).

    Args:
        right: whether each message is classified right, `(n,)`.
        usual: the same for the baseline, `(n,)`.
    """
    gained, lost = int((right & ~usual).sum()), int((~right & usual).sum())
    return gained - lost if gained - lost > 2.0 * np.sqrt(gained + lost) else 0


def equal_weights(*, with_features: bool) -> Dict[str, float]:
    """The same weight for every view; 0 for neighbours, if the model gives no features."""
    return {"classifier": 1.0, "neighbours": 1.0 if with_features else 0.0, "characters": 1.0}


def right_answers(held_out: HeldOutEvidence, weights: Mapping[str, float]) -> np.ndarray:
    """Whether each held-out message is classified right with these weights.  # (n,)"""
    probabilities = [pooled.probabilities for pooled in pooled_evidence(held_out.evidence, weights)]
    return np.argmax(probabilities, axis=1) == held_out.classes


def fit_power(held_out: Optional[HeldOutEvidence], weights: Mapping[str, float]) -> float:
    """The exponent of the pooled probabilities of greatest likelihood for held-out messages; 1 without any.

    One wrong prediction is added, as in Laplace's rule of succession: even if all held-out messages are classified
    right, confidences stay below `n / (n + 1)`.
    """
    if held_out is None or not len(held_out.classes):
        return 1.0
    logarithms = np.log(
        np.maximum([pooled.probabilities for pooled in pooled_evidence(held_out.evidence, weights)], 1e-12)
    )
    if logarithms.shape[1] < 2:
        return 1.0
    own = np.arange(len(logarithms)), held_out.classes

    def loss(power: float) -> float:
        probabilities = softmax(power * logarithms)
        wrong = np.maximum(1.0 - probabilities.max(axis=1), 1e-12)
        return float(-np.log(np.maximum(probabilities[own], 1e-12)).sum() - np.log(wrong).mean())

    return float(min(_POWERS, key=loss))


def pooled_evidence(evidence: Mapping[str, Sequence[Evidence]], weights: Mapping[str, float]) -> List[Pooled]:
    """Combines the evidence of the views for each message; a view with weight 0 contributes its familiarity only."""
    names = list(evidence)
    return [pool(each, [weights.get(name, 0.0) for name in names]) for each in zip(*(evidence[name] for name in names))]
