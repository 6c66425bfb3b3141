"""The head of the intents: a linear layer on the features of a message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.heads.refitted import MeasuredLayer, ObservedLayers, RefittedHead
from rasa_compressed_bert.metrics.weaknesses import most_confused, weakest
from rasa_compressed_bert.models.head_layer import CLASSIFIER
from rasa_compressed_bert.models.task_model import FEATURES
from rasa_compressed_bert.runtime.decoders import INTENTS
from rasa_compressed_bert.training.batches import NO_LABEL
from rasa_compressed_bert.training.head import Fold
from rasa_compressed_bert.training.loop import predict_inputs
from rasa_compressed_bert.training.view_fitting import Observations, fit_views
from rasa_compressed_bert.training.voting import HeldOutEvidence, Voting, choose_weights, fit_power, right_answers
from rasa_compressed_bert.views.view import Evidence, softmax

_SHOWN = 5


@dataclass(frozen=True)
class MeasuredIntents(MeasuredLayer):
    """The measurements of intents on held-out messages.

    Attributes:
        weights: weights of the views; None without a detector.
        power: exponent of the views' pooled probabilities.
        pooled_accuracy: accuracy of all views together.
        weakest: the intents with the most mistakes: `intent`, `f1`, and the number of held-out `messages`.
        confused: the intents that are confused most often: `intent`, `predicted`, the number of `messages`, and the
            index of an `example` among the messages of the training that measured this.
    """

    weights: Optional[Dict[str, float]] = None
    power: float = 1.0
    pooled_accuracy: Optional[float] = None
    weakest: Sequence[Mapping[str, Any]] = ()
    confused: Sequence[Mapping[str, Any]] = ()

    @property
    def voting(self) -> Voting:
        """The weights and the exponent of the views."""
        return Voting(self.weights, self.power, self.temperature, calibrated=True)


class _Observed(NamedTuple):
    """Layers and evidence of the held-out messages of one fold that have an intent."""

    layers: ObservedLayers
    places: np.ndarray  # (n,), indices among the training messages
    evidence: Dict[str, List[Evidence]]  # of each view except the classifier


@dataclass(frozen=True)
class IntentHead(RefittedHead):
    """The intents of messages."""

    name = INTENTS
    label_phrase = "an intent"
    layer = CLASSIFIER
    measured_class = MeasuredIntents
    manifest_entry = "labels"

    @staticmethod
    def label_of(example: Example) -> Optional[str]:
        return example.intent

    @property
    def parity_entry(self) -> Optional[str]:
        return None

    @classmethod
    def is_asked_for(cls, config: BertOptions) -> bool:
        return config.learns_intents

    def to_manifest(self, measured: Optional[MeasuredIntents]) -> Dict[str, Any]:
        return {**super().to_manifest(measured), "temperature": self.temperature(measured)}

    def observe(self, fold: Fold) -> _Observed:
        classes = fold.encoded.labels[self.name]
        features = predict_inputs(fold.model, FEATURES, fold.encoded.input_ids)
        evidence = {}
        if fold.config.fallback_threshold is not None:
            known, asked = (part[classes[part] != NO_LABEL] for part in (fold.trained_on, fold.held_out))
            evidence = self._evidence(fold, features, classes, known=known, asked=asked)
        places = fold.held_out[classes[fold.held_out] != NO_LABEL]
        return _Observed(self.observe_layers(fold, features), places, evidence)

    def _evidence(
        self, fold: Fold, features: np.ndarray, classes: np.ndarray, *, known: np.ndarray, asked: np.ndarray
    ) -> Dict[str, List[Evidence]]:
        """Evidence of each view except the classifier, fitted on messages that the model was trained on."""

        def observed(places: np.ndarray) -> Observations:
            logits = np.zeros((len(places), self.size), np.float32)  # which these views do not read
            texts = [fold.examples[place].text for place in places]
            return Observations(texts, classes[places], logits, features[places])

        views = fit_views(observed(known), self.size, seed=fold.config.random_seed)
        readings = observed(asked).readings()
        others = {name: view for name, view in views.items() if name != "classifier"}
        return {name: [view.evidence(reading) for reading in readings] for name, view in others.items()}

    def _weaknesses(self, classes: np.ndarray, predicted: np.ndarray, places: np.ndarray) -> Dict[str, Any]:
        """`weakest` and `confused`, as JSON values."""
        weak = [
            {"intent": self.labels[one.label], "f1": one.f1, "messages": one.examples}
            for one in weakest(classes, predicted, most=_SHOWN)
        ]
        confused = [
            {
                "intent": self.labels[pair.label],
                "predicted": self.labels[pair.predicted],
                "messages": pair.examples,
                "example": int(places[pair.first]),
            }
            for pair in most_confused(classes, predicted, most=_SHOWN)
        ]
        return {"weakest": weak, "confused": confused}

    def measure(self, observed: Sequence[_Observed]) -> Optional[MeasuredIntents]:
        layers = [one.layers for one in observed]
        measured: Optional[MeasuredIntents] = self.measure_layers(layers)
        if measured is None:
            return None
        classes = np.concatenate([one.classes for one in layers])
        chosen = np.concatenate([one.refitted if measured.refit else one.logits for one in layers])
        places = np.concatenate([one.places for one in observed])
        measured = replace(measured, **self._weaknesses(classes, chosen.argmax(axis=1), places))
        if not observed[0].evidence:
            return measured
        evidence = {name: [row for one in observed for row in one.evidence[name]] for name in observed[0].evidence}
        calibrated = [Evidence(row, np.zeros_like(row)) for row in softmax(chosen / measured.temperature)]
        held_out = HeldOutEvidence(classes, {"classifier": calibrated, **evidence})
        weights = choose_weights(held_out, with_features=True)
        pooled_accuracy = float(np.mean(right_answers(held_out, weights)))
        return replace(measured, weights=weights, power=fit_power(held_out, weights), pooled_accuracy=pooled_accuracy)
