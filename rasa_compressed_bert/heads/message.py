"""Base of the heads that classify a message."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.tokenization.pieces import Pieces
from rasa_compressed_bert.training.batches import NO_LABEL, Labels
from rasa_compressed_bert.training.head import ElementLoss, Head, Rows
from rasa_compressed_bert.training.linear_probe import linear_probe
from rasa_compressed_bert.training.scores import Score, evaluate


@dataclass(frozen=True)
class MessageHead(Head):
    """A linear layer on one vector per message.

    Attributes:
        labels: the labels, sorted; the index of a label is its class.
    """

    labels: Tuple[str, ...]

    learns_unlabelled = True
    manifest_entry: ClassVar[Optional[str]] = None
    """The key of a manifest with the labels; the name of the head by default."""

    @staticmethod
    @abstractmethod
    def label_of(example: Example) -> Optional[str]:
        """The label of an example; None without one."""

    @classmethod
    def is_asked_for(cls, config: BertOptions) -> bool:
        return True

    @classmethod
    def learnt_from(
        cls, examples: Sequence[Example], config: BertOptions, tokenizer: str, *, before: Optional[Head] = None
    ) -> Optional[MessageHead]:
        labels = {cls.label_of(example) for example in examples} - {None}
        return cls(tuple(sorted(str(label) for label in labels))) if labels else None

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Optional[MessageHead]:
        labels = manifest.get(cls.manifest_entry or cls.name)
        return cls(tuple(labels)) if labels else None

    def to_manifest(self, measured: Any) -> Dict[str, Any]:
        return {self.manifest_entry or self.name: list(self.labels)}

    @property
    def label_names(self) -> Sequence[str]:
        return self.labels

    @property
    def prefix(self) -> str:
        """The prefix of the names of its metrics."""
        return "" if self.parity_entry is None else f"{self.parity_entry}_"

    @property
    def size(self) -> int:
        return len(self.labels)

    def encode(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> np.ndarray:
        index: Dict[Optional[str], int] = {label: position for position, label in enumerate(self.labels)}
        classes: List[int] = [index.get(self.label_of(example), NO_LABEL) for example in examples]
        return np.array(classes, np.int32)

    def losses(
        self, logits: tf.Tensor, labels: tf.Tensor, loss: ElementLoss, soft_targets: Optional[tf.Tensor]
    ) -> tf.Tensor:
        known = loss.labelled(logits, tf.maximum(labels, 0), soft_targets)
        return tf.where(labels >= 0, known, loss.unlabelled(logits, soft_targets))

    def score(self, logits: Rows, labels: Labels, continues: Optional[Sequence[np.ndarray]]) -> Score:
        """Macro F1 and accuracy; their names have a prefix, except for intents."""
        places = np.flatnonzero(labels != NO_LABEL)
        return evaluate(logits[places], labels[places], prefix=self.prefix) if len(places) else Score()

    def probe(self, inputs: Rows, labels: Labels, *, seed: int) -> Tuple[np.ndarray, np.ndarray]:
        places = np.flatnonzero(labels != NO_LABEL)
        return linear_probe(inputs[places], labels[places], self.size, seed=seed)
