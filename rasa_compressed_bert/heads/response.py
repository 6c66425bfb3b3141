"""The head of the responses of retrieval intents, such as `faq/ask_name`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example, retrieval_intent
from rasa_compressed_bert.heads.refitted import MeasuredLayer, RefittedHead
from rasa_compressed_bert.models.head_layer import SELECTOR
from rasa_compressed_bert.runtime.decoders import RESPONSES
from rasa_compressed_bert.training.batches import NO_LABEL, Labels
from rasa_compressed_bert.training.head import ElementLoss, Rows
from rasa_compressed_bert.training.scores import Score

_FAR_BELOW = np.float32(-1e9)


@dataclass(frozen=True)
class ResponseHead(RefittedHead):
    """The responses of retrieval intents, given the intent: `p(y | x, i) = softmax` over the responses of `i` only.

    The retrieval intent itself is predicted by the intent head. Messages of other intents have no label here.
    """

    name = RESPONSES
    label_phrase = "a response"
    layer = SELECTOR

    @staticmethod
    def label_of(example: Example) -> Optional[str]:
        return example.response

    @classmethod
    def is_asked_for(cls, config: BertOptions) -> bool:
        return config.learns_intents and config.response_selection

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Optional[ResponseHead]:
        entry = manifest.get(cls.name)
        return cls(tuple(entry["labels"])) if entry else None

    def to_manifest(self, measured: Optional[MeasuredLayer]) -> Dict[str, Any]:
        return self.entry(self.temperature(measured))

    def entry(self, temperature: float) -> Dict[str, Any]:
        """The entry of a manifest.

        Args:
            temperature: temperature of the confidences.
        """
        return {self.name: {"labels": list(self.labels), "temperature": temperature}}

    def fit_layer(self, features: np.ndarray, classes: np.ndarray, *, seed: int) -> Tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of logistic regression within each retrieval intent."""
        return self._by_intent(super().fit_layer, features, classes, seed=seed)

    def probe(self, inputs: Rows, labels: Labels, *, seed: int) -> Tuple[np.ndarray, np.ndarray]:
        return self._by_intent(super().probe, inputs, labels, seed=seed)

    def _by_intent(
        self, fit: Any, rows: np.ndarray, classes: np.ndarray, *, seed: int
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Kernel and bias, whose columns are fitted separately to the messages of each retrieval intent."""
        kernel = np.zeros((rows.shape[1], self.size), np.float32)
        bias = np.zeros(self.size, np.float32)
        for own in self._members:
            places = np.flatnonzero(own[classes] & (classes != NO_LABEL))
            if own.sum() < 2 or not len(places):
                continue
            columns = fit(rows[places], classes[places], seed=seed)
            kernel[:, own], bias[own] = columns[0][:, own], columns[1][own]
        return kernel, bias

    @property
    def _members(self) -> List[np.ndarray]:
        """For each retrieval intent, the mask of its responses.  # (C,) each"""
        intents = np.array([retrieval_intent(label) for label in self.labels])
        return [intents == intent for intent in dict.fromkeys(intents.tolist())]

    @property
    def _together(self) -> np.ndarray:
        """Whether two responses belong to the same retrieval intent.  # (C, C)"""
        intents = np.array([retrieval_intent(label) for label in self.labels])
        return intents[:, np.newaxis] == intents

    def compared_classes(self, labels: Labels) -> np.ndarray:
        """The responses of a message's own retrieval intent; none for messages of other intents.  # (n, C)"""
        return self._together[np.maximum(labels, 0)] & (labels != NO_LABEL)[:, np.newaxis]

    def compared(self, logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Logits of labelled messages, with the responses of other retrieval intents masked.  # (n, C)"""
        return np.where(self._together[classes], logits, _FAR_BELOW)

    def within(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        own = tf.gather(tf.constant(self._together), tf.maximum(labels, 0))  # (B, C)
        return tf.where(own & (labels >= 0)[:, tf.newaxis], logits, _FAR_BELOW)

    def losses(
        self, logits: tf.Tensor, labels: tf.Tensor, loss: ElementLoss, soft_targets: Optional[tf.Tensor]
    ) -> tf.Tensor:
        inside = None if soft_targets is None else self.within(soft_targets, labels)
        known = loss.labelled(self.within(logits, labels), tf.maximum(labels, 0), inside)
        return tf.where(labels >= 0, known, loss.unlabelled(logits, soft_targets))

    def score(self, logits: Rows, labels: Labels, continues: Any) -> Score:
        """Macro F1 and accuracy within the retrieval intents of the messages."""
        return super().score(self.compared(logits, np.maximum(labels, 0)), labels, continues)
