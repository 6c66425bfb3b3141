"""A head whose linear layer is refitted by logistic regression on the features of the trained model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Callable, ClassVar, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

import numpy as np

from rasa_compressed_bert.heads.message import MessageHead
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.task_model import FEATURES
from rasa_compressed_bert.training.batches import NO_LABEL, Labels
from rasa_compressed_bert.training.calibration import calibration_temperature
from rasa_compressed_bert.training.head import Fold, Rows
from rasa_compressed_bert.training.loop import predict_inputs
from rasa_compressed_bert.training.scores import Score, evaluate
from rasa_compressed_bert.training.view_fitting import refit_classifier
from rasa_compressed_bert.training.voting import clear_gain


@dataclass(frozen=True)
class MeasuredLayer:
    """The measurements of a linear layer on held-out messages.

    Attributes:
        score: score of the dense model with the layer that `refit` chooses.
        refit: whether logistic regression on the features replaces the fine-tuned layer, as it does unless the latter
            is clearly better.
        accuracies: accuracies of the fine-tuned layer and of logistic regression on its features, as shares.
        temperature: temperature of the logits of the layer that `refit` chooses.
    """

    score: Score
    refit: bool = True
    accuracies: Optional[Dict[str, float]] = None
    temperature: float = 1.0


class ObservedLayers(NamedTuple):
    """Classes and logits of the held-out messages of one fold that have a label."""

    classes: np.ndarray  # (n,)
    logits: np.ndarray  # (n, C), of the fine-tuned layer
    refitted: np.ndarray  # (n, C), of logistic regression on the features


@dataclass(frozen=True)
class RefittedHead(MessageHead):
    """A message head on the features, whose layer is refitted after training unless the trained one is better."""

    measured_class: ClassVar[Type[Any]] = MeasuredLayer

    def fit_layer(self, features: np.ndarray, classes: np.ndarray, *, seed: int) -> Tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of logistic regression.

        Args:
            features: features of labelled messages, `(n, P)`.
            classes: classes of these messages, `(n,)`.
            seed: random seed.
        """
        return refit_classifier(features, classes, self.size, seed=seed)

    def compared(self, logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Logits of labelled messages, with classes that are not compared masked; by default none.  # (n, C)"""
        return logits

    def temperature(self, measured: Optional[MeasuredLayer]) -> float:
        return measured.temperature if measured else 1.0

    def refitted(self, inputs: Callable[[], Rows], labels: Labels, measured: Any, *, seed: int) -> Parameters:
        """The layer of logistic regression on the features of the trained model, unless the trained one is better."""
        if measured is not None and not measured.refit:
            return {}
        places = np.flatnonzero(labels != NO_LABEL)
        fitted = self.fit_layer(inputs()[places], labels[places], seed=seed)
        return dict(zip((self.layer.kernel, self.layer.bias), fitted))

    def observe(self, fold: Fold) -> Any:
        features = predict_inputs(fold.model, FEATURES, fold.encoded.input_ids)
        return self.observe_layers(fold, features)

    def observe_layers(self, fold: Fold, features: np.ndarray) -> ObservedLayers:
        """The logits of both layers for the held-out messages of a fold.

        Args:
            fold: the model and its messages.
            features: features of all messages, `(n, P)`.
        """
        classes = fold.encoded.labels[self.name]
        known = fold.trained_on[classes[fold.trained_on] != NO_LABEL]
        kernel, bias = self.fit_layer(features[known], classes[known], seed=fold.config.random_seed)
        own = classes[fold.held_out] != NO_LABEL
        asked = fold.held_out[own]
        layers = fold.predictions[self.layer.output][own], features[asked] @ kernel + bias
        return ObservedLayers(classes[asked], *(self.compared(logits, classes[asked]) for logits in layers))

    def measure(self, observed: Sequence[Any]) -> Any:
        return self.measure_layers(observed)

    def measure_layers(self, observed: Sequence[ObservedLayers]) -> Any:
        """The layer to keep and its temperature, as a `measured_class`; None without labelled messages."""
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
        return self.measured_class(
            evaluate(chosen, classes, prefix=self.prefix),
            refit,
            accuracies={name: float(np.mean(own)) for name, own in right.items()},
            temperature=calibration_temperature(chosen, classes),
        )

    @classmethod
    def measured_from(cls, values: Mapping[str, Any]) -> Any:
        names = {field.name for field in fields(cls.measured_class)} - {"score"}
        known = {name: value for name, value in values.items() if name in names}
        return cls.measured_class(Score(), **known) if known.get("accuracies") else None
