"""Computation of the confidences that Rasa sees from the views of a message.

The probabilities of the intents are the weighted mean of those of the views (soft voting), sharpened by a power that
was found by cross-fitting:

    p = sum_v w_v p_v        q_c = p_c^a / sum_d p_d^a

Whether a message is in scope depends on its similarity to the training messages of its most probable intent `t`, its
familiarity `f = sum_v f_v[t]`. The threshold `tau` was chosen such that the share `in_scope_recall` of the training
messages, each compared with the others, reaches it. Confidences are `max(0, q_c - (q_t - s))`, where the confidence of
the best intent is

    s = theta + (q_t - theta) (1 - exp(-(f - tau) / delta))     if f >= tau and q_t >= theta
    s = min(q_t, theta exp((f - tau) / (4 delta)))              if f < tau

and `theta` is the threshold of the pipeline's `FallbackClassifier`: a message is below it if it is unfamiliar or if no
intent is probable. All confidences of a message are lowered by the same amount, so that Rasa's second rule
(`ambiguity_threshold`), which compares the two best ones, applies if the views disagree, and not if a message is
unfamiliar. (If all are multiplied by the same factor instead, in-scope accuracy of the bots of HINT3 at a threshold of
0.1 is 1.8 and 0.3 points lower; one seed.)

If the most probable intent is the user's own intent of messages out of scope, `s = q_t`: such a message need not be
familiar.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.views.characters import CharacterView
from rasa_compressed_bert.views.classifier import ClassifierView
from rasa_compressed_bert.views.neighbours import NeighbourView
from rasa_compressed_bert.views.view import Reading, View

VIEWS: Dict[str, Any] = {"classifier": ClassifierView, "neighbours": NeighbourView, "characters": CharacterView}
"""Classes of views by their names in artifacts."""
_SLIGHTLY_LESS = 1.0 - 1e-6
_ROUNDED = 1e-6  # by how much a sum of shares may miss 1
_DECAY = 4.0  # slower below the threshold: a lower threshold of FallbackClassifier then lets more messages pass


class Pooled(NamedTuple):
    """The combined evidence of all views of a message.

    Attributes:
        probabilities: weighted mean of their probabilities, `(C,)`.
        familiarity: familiarity for the most probable intent.
    """

    probabilities: np.ndarray
    familiarity: float


@dataclass(frozen=True)
class ConfidenceMap:
    """The map from pooled evidence to confidences; see the module for its formulas.

    Attributes:
        power: `a`, the exponent of the pooled probabilities.
        familiarity: `tau`, below which a message is out of scope.
        scale: `delta`, the scale of familiarities.
        threshold: `theta`, the threshold of Rasa's FallbackClassifier.
        out_of_scope_class: class of the user's own intent of messages out of scope; None without one.
    """

    power: float
    familiarity: float
    scale: float
    threshold: float
    out_of_scope_class: Optional[int] = None

    def confidences(self, pooled: Pooled) -> np.ndarray:
        """The confidences of all intents, which sum to at most 1.  # (C,)

        Raises:
            ArtifactError: if the evidence contains NaN.
        """
        most_probable = int(pooled.probabilities.argmax())
        sharpened = (pooled.probabilities / pooled.probabilities[most_probable]) ** self.power
        best = 1.0 / float(np.add.reduce(sharpened))
        if math.isnan(best + pooled.familiarity):
            raise ArtifactError("The confidences are not numbers: the model's weights are damaged. Train it again.")
        lowered = best if most_probable == self.out_of_scope_class else self.best(best, pooled.familiarity)
        sharpened = sharpened * best - best  # subtracted first, so that the best intent gets exactly `lowered`
        return np.maximum(sharpened + lowered, 0.0)

    def best(self, probability: float, familiarity: float) -> float:
        """The confidence of the most probable intent."""
        distance = (familiarity - self.familiarity) / self.scale
        if distance < 0.0:
            return min(probability, self.threshold * float(np.exp(distance / _DECAY)) * _SLIGHTLY_LESS)
        if probability < self.threshold:
            return probability
        return self.threshold + (probability - self.threshold) * float(-np.expm1(-distance))


class IntentDecision:
    """The weighted combination of the views of a message; thread-safe.

    Args:
        views: the views by name.
        weights: weight of each view's probabilities, with the sum 1; 0 for a view that only adds to the familiarity.
        confidence_map: the map from their pooled evidence to confidences.
    """

    def __init__(self, views: Mapping[str, View], weights: Mapping[str, float], confidence_map: ConfidenceMap):
        self.views = dict(views)
        self._weighted: List[Tuple[View, float]] = [(view, weights[name]) for name, view in views.items()]
        self._map = confidence_map

    def confidences(self, reading: Reading) -> np.ndarray:
        """The confidences of all intents.  # (C,) float64

        Raises:
            ArtifactError: if the evidence contains NaN.
        """
        return self._map.confidences(self.pooled(reading))

    def pooled(self, reading: Reading) -> Pooled:
        """The combined evidence of all views of a message."""
        return pool([view.evidence(reading) for view, _ in self._weighted], [weight for _, weight in self._weighted])


def pool(evidence: Sequence[Any], weights: Sequence[float]) -> Pooled:
    """The weighted mean of probabilities, and the summed familiarity of the most probable intent."""
    probabilities = sum(weight * one.probabilities for one, weight in zip(evidence, weights))
    best = int(probabilities.argmax())
    return Pooled(probabilities, float(sum(one.familiarity[best] for one in evidence)))


def stored(views: Mapping[str, View], weights: Mapping[str, float], confidence_map: ConfidenceMap) -> Tuple[Any, Any]:
    """Manifest entry (JSON) and tensors of a decision; `read` is the inverse."""
    described = {"weights": {name: float(weights[name]) for name in views}, "confidence": asdict(confidence_map)}
    tensors = {f"{name}.{key}": value for name, view in views.items() for key, value in view.tensors().items()}
    return described, tensors


def read(described: Mapping[str, Any], tensors: Mapping[str, np.ndarray], num_classes: int) -> IntentDecision:
    """The inverse of `stored`.

    Args:
        described: the manifest entry.
        tensors: of all views.
        num_classes: intents of the model.

    Raises:
        ArtifactError: if they are damaged, or those of another number of intents.
    """
    try:
        weights, mapped = described["weights"], ConfidenceMap(**described["confidence"])
        _require_decision(weights, mapped)
        views: Dict[str, View] = {}
        for name in weights:
            prefix = f"{name}."
            own = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
            views[name] = VIEWS[name].from_tensors(own, num_classes)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        reason = f"{error} is missing or unknown" if isinstance(error, KeyError) else error
        raise ArtifactError(f"The views of the model cannot be read: {reason}. Train it again.") from error
    return IntentDecision(views, weights, mapped)


def _require_decision(weights: Mapping[str, float], mapped: ConfidenceMap) -> None:
    """Checks the weights of the views and the values of the map of confidences.

    Raises:
        ValueError: if the weights do not sum to 1, or if a value is outside of its range.
    """
    shares = list(weights.values())
    if not all(share >= 0.0 for share in shares) or not math.isclose(sum(shares), 1.0, abs_tol=_ROUNDED):
        raise ValueError(f"the weights of the views do not sum to 1, or one is negative: {dict(weights)}")
    if not (0.0 < mapped.power < math.inf and 0.0 < mapped.scale < math.inf and math.isfinite(mapped.familiarity)):
        raise ValueError(f"the power and the scale of {mapped} have to be positive, and all its values finite")
    if not 0.0 <= mapped.threshold <= 1.0:
        raise ValueError(f"the threshold {mapped.threshold} is not between 0 and 1")
