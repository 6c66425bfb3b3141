"""The head of the intents: a linear layer on the features of a message."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.heads.message import MessageHead
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.head_layer import CLASSIFIER
from rasa_compressed_bert.models.task_model import FEATURES
from rasa_compressed_bert.runtime.decoders import INTENTS
from rasa_compressed_bert.training.batches import NO_LABEL, Labels
from rasa_compressed_bert.training.calibration import calibration_temperature
from rasa_compressed_bert.training.head import Fold, Rows
from rasa_compressed_bert.training.loop import predict_inputs
from rasa_compressed_bert.training.scores import Score, evaluate
from rasa_compressed_bert.training.view_fitting import Observations, fit_views, refit_classifier
from rasa_compressed_bert.training.voting import (
    HeldOutEvidence,
    Voting,
    choose_weights,
    clear_gain,
    fit_power,
    right_answers,
)
from rasa_compressed_bert.views.view import Evidence, softmax


@dataclass(frozen=True)
class MeasuredIntents:
    """What held-out messages show about the intents.

    Attributes:
        score: of the dense model.
        refit: whether logistic regression on the features takes the place of the fine-tuned layer, as it does unless
            that is clearly better.
        accuracies: of the fine-tuned layer and of logistic regression on its features, as shares.
        temperature: of the logits, of the layer that `refit` names.
        weights: of the views; None without a detector.
        power: of the views' pooled probabilities.
        pooled_accuracy: of the views together.
    """

    score: Score
    refit: bool = True
    accuracies: Optional[Dict[str, float]] = None
    temperature: float = 1.0
    weights: Optional[Dict[str, float]] = None
    power: float = 1.0
    pooled_accuracy: Optional[float] = None

    @property
    def voting(self) -> Voting:
        """How the views are weighed."""
        return Voting(self.weights, self.power, self.temperature, calibrated=True)


class _Observed(NamedTuple):
    """Of the held-out messages of one fold that have an intent."""

    classes: np.ndarray  # (n,)
    logits: np.ndarray  # (n, C), of the fine-tuned layer
    refitted: np.ndarray  # (n, C), of logistic regression on the features
    evidence: Dict[str, List[Evidence]]  # of each view but the classifier's


@dataclass(frozen=True)
class IntentHead(MessageHead):
    """The intents of messages."""

    name = INTENTS
    label_phrase = "an intent"
    layer = CLASSIFIER
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

    def temperature(self, measured: Optional[MeasuredIntents]) -> float:
        return measured.temperature if measured else 1.0

    def refitted(self, inputs: Callable[[], Rows], labels: Labels, measured: Any, *, seed: int) -> Parameters:
        """The layer of logistic regression on the features of the trained model, unless the trained one is better."""
        if measured is not None and not measured.refit:
            return {}
        places = np.flatnonzero(labels != NO_LABEL)
        fitted = refit_classifier(inputs()[places], labels[places], self.size, seed=seed)
        return dict(zip((self.layer.kernel, self.layer.bias), fitted))

    def observe(self, fold: Fold) -> _Observed:
        classes, seed = fold.encoded.labels[self.name], fold.config.random_seed
        features = predict_inputs(fold.model, FEATURES, fold.encoded.input_ids)
        known = fold.trained_on[classes[fold.trained_on] != NO_LABEL]
        kernel, bias = refit_classifier(features[known], classes[known], self.size, seed=seed)
        own = classes[fold.held_out] != NO_LABEL
        asked = fold.held_out[own]
        evidence = {}
        if fold.config.fallback_threshold is not None:
            evidence = self._evidence(fold, features, classes, known=known, asked=asked)
        logits = fold.predictions[self.layer.output][own]
        return _Observed(classes[asked], logits, features[asked] @ kernel + bias, evidence)

    def _evidence(
        self, fold: Fold, features: np.ndarray, classes: np.ndarray, *, known: np.ndarray, asked: np.ndarray
    ) -> Dict[str, List[Evidence]]:
        """Evidence of each view but the classifier's, fitted on messages that the model was trained on."""

        def observed(places: np.ndarray) -> Observations:
            logits = np.zeros((len(places), self.size), np.float32)  # which these views do not read
            texts = [fold.examples[place].text for place in places]
            return Observations(texts, classes[places], logits, features[places])

        views = fit_views(observed(known), self.size, seed=fold.config.random_seed)
        readings = observed(asked).readings()
        others = {name: view for name, view in views.items() if name != "classifier"}
        return {name: [view.evidence(reading) for reading in readings] for name, view in others.items()}

    def measure(self, observed: Sequence[_Observed]) -> Optional[MeasuredIntents]:
        classes = np.concatenate([one.classes for one in observed])
        if not len(classes):
            return None
        layers = {
            "head": np.concatenate([one.logits for one in observed]),
            "refit": np.concatenate([one.refitted for one in observed]),
        }
        right = {name: logits.argmax(axis=1) == classes for name, logits in layers.items()}
        refit = not clear_gain(right["head"], right["refit"])
        chosen = layers["refit" if refit else "head"]
        temperature = calibration_temperature(chosen, classes)
        measured = MeasuredIntents(
            evaluate(layers["head"], classes),
            refit,
            accuracies={name: float(np.mean(own)) for name, own in right.items()},
            temperature=temperature,
        )
        if not observed[0].evidence:
            return measured
        evidence = {name: [row for one in observed for row in one.evidence[name]] for name in observed[0].evidence}
        calibrated = [Evidence(row, np.zeros_like(row)) for row in softmax(chosen / temperature)]
        held_out = HeldOutEvidence(classes, {"classifier": calibrated, **evidence})
        weights = choose_weights(held_out, with_features=True)
        pooled_accuracy = float(np.mean(right_answers(held_out, weights)))
        return replace(measured, weights=weights, power=fit_power(held_out, weights), pooled_accuracy=pooled_accuracy)

    @classmethod
    def measured_from(cls, values: Mapping[str, Any]) -> Optional[MeasuredIntents]:
        names = {field.name for field in fields(MeasuredIntents)} - {"score"}
        known = {name: value for name, value in values.items() if name in names}
        return MeasuredIntents(Score(), **known) if known.get("accuracies") else None
