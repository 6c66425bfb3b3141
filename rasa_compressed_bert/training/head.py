"""The base class of heads: a head predicts one kind of label from the hidden states of the encoder.

A new head is a subclass of `Head`, registered with `heads.register_head`; on the serving side its decoder is registered
with `runtime.decoders.register_decoder`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Callable, ClassVar, Collection, Dict, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.head_layer import HeadLayer
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tokenization.pieces import Pieces, SplitPoints
from rasa_compressed_bert.training.batches import EncodedExamples, Labels
from rasa_compressed_bert.training.scores import Predictions, Score

Rows = Any
"""Rows of messages are an array, `(n, P)`; rows of wordpieces a list of `n` arrays, `(T_i, P)`."""


class ElementLoss(Protocol):
    """The loss of one message or one wordpiece, for any head."""

    def labelled(self, logits: tf.Tensor, labels: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """The losses of logits (..., C) with labels (...) and, with a teacher, its logits.  # (...)"""

    def unlabelled(self, logits: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """The losses of logits (..., C) without labels.  # (...)"""


@dataclass(frozen=True)
class Fold:
    """A model, its training messages, and held-out messages.

    Attributes:
        model: the trained model.
        examples: all messages.
        pieces: their wordpieces.
        encoded: all messages, encoded for the model.
        held_out: positions of the held-out messages.
        trained_on: positions of the training messages.
        predictions: the model's predictions for the held-out messages.
        config: all options.
    """

    model: TaskModel
    examples: Sequence[Example]
    pieces: Sequence[Pieces]
    encoded: EncodedExamples
    held_out: np.ndarray
    trained_on: np.ndarray
    predictions: Predictions
    config: BertOptions


class Head(ABC):
    """Labels of one kind, and everything that training does with them; immutable.

    The parity check of an export compares the softmax of the logits, whatever the loss is.
    """

    name: ClassVar[str]
    """The name of its labels, in the plural; a key of `EncodedExamples.labels`."""
    label_phrase: ClassVar[str]
    """A label with its article, such as "an intent", for messages to users."""
    layer: HeadLayer
    learns_unlabelled: ClassVar[bool] = False
    """Whether a teacher's predictions for unlabelled messages are learnt."""
    learns_filled: ClassVar[bool] = False
    """Whether copies of messages with other values of entities are learnt; such a head labels wordpieces."""
    split_points: SplitPoints = {}
    """Where words are split before tokenization, see `PieceTokenizer`; only the head of entities may set it, since
    serving uses the split points of that head."""

    @classmethod
    @abstractmethod
    def is_asked_for(cls, config: BertOptions) -> bool:
        """Whether the options ask for this head."""

    @classmethod
    @abstractmethod
    def learnt_from(
        cls, examples: Sequence[Example], config: BertOptions, tokenizer: str, *, before: Optional[Head] = None
    ) -> Optional[Head]:
        """Makes the head for training examples; None if these have no labels for it.

        Args:
            examples: the labelled messages.
            config: all options.
            tokenizer: the `tokenizers` library's JSON.
            before: the head of the training that is continued, if there is one.
        """

    @classmethod
    @abstractmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Optional[Head]:
        """The inverse of `to_manifest`; None if the model has no such head."""

    @abstractmethod
    def to_manifest(self, measured: Any) -> Dict[str, Any]:
        """The entries of the head in an artifact's manifest.

        Args:
            measured: the result of `measure`, or None.
        """

    @property
    def parity_entry(self) -> Optional[str]:
        """The key of the head in the parity report of an export; None puts its entries at the top level."""
        return self.name

    def temperature(self, measured: Any) -> float:
        """The temperature of the confidences."""
        return 1.0

    def continued(self, now: Head) -> Head:
        """This head, extended for a continued training; `now` was made from its examples and has the same labels."""
        return self

    @property
    @abstractmethod
    def label_names(self) -> Sequence[str]:
        """The labels, for messages to users."""

    @property
    @abstractmethod
    def size(self) -> int:
        """`C`, the number of outputs."""

    @abstractmethod
    def encode(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> Labels:
        """The labels of examples; `NO_LABEL` where an example has none.

        Args:
            examples: the messages.
            pieces: their wordpieces.
        """

    def compared_classes(self, labels: Labels) -> Optional[np.ndarray]:
        """Which logits of a message an export has to preserve, `(n, C)`; None for all.

        Args:
            labels: the labels of the messages.
        """
        return None

    def warn(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> None:
        """Warns of labels that the wordpieces cannot express."""
        return

    def fitted(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> Head:
        """The head, fitted to examples that were tokenized with its split points; by default unchanged."""
        return self

    def with_known(
        self, values: Mapping[str, Sequence[str]], listed: Mapping[str, Sequence[str]], *, config: BertOptions
    ) -> Head:
        """The head with known values of entities; by default unchanged.

        Args:
            values: values of lookup tables and synonyms that are learnt, by type of entity.
            listed: those of lookup tables, normalised.
            config: all options.
        """
        return self

    def without_annotations(
        self, examples: Sequence[Example], hidden: Collection[int], tokenizer: str, *, config: BertOptions
    ) -> Head:
        """The head as if the annotations of the `hidden` examples were unknown; by default unchanged."""
        return self

    def within(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Masks the logits of classes that are impossible for a message, with a large negative number.

        Args:
            logits: `(B, C)`.
            labels: `(B,)`, -1 for a message without a label.
        """
        return logits

    @abstractmethod
    def losses(
        self, logits: tf.Tensor, labels: tf.Tensor, loss: ElementLoss, soft_targets: Optional[tf.Tensor]
    ) -> tf.Tensor:
        """Losses of a batch.  # (B,)

        Args:
            logits: the logits of the head, `(B, C)` or `(B, T, C)`.
            labels: `(B,)` or `(B, T)`, -1 where there is no label.
            loss: the loss of a message or of a wordpiece.
            soft_targets: a teacher's logits, of the same shape as `logits`.
        """

    @abstractmethod
    def score(self, logits: Rows, labels: Labels, continues: Optional[Sequence[np.ndarray]]) -> Score:
        """The score of logits against labels; an empty score if no example has a label."""

    @abstractmethod
    def probe(self, inputs: Rows, labels: Labels, *, seed: int) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        """Kernel and bias of a linear probe, from which training starts; None keeps the present ones."""

    def places_to_probe(self, lengths: Sequence[int], *, seed: int) -> np.ndarray:
        """Positions of the examples that `probe` is given: all, unless their rows would take too much memory.

        Args:
            lengths: the number of wordpieces of each example.
            seed: for a random choice of examples.
        """
        return np.arange(len(lengths))

    def refitted(self, inputs: Callable[[], Rows], labels: Labels, measured: Any, *, seed: int) -> Parameters:
        """Parameters that replace the trained ones after training; none by default.

        Args:
            inputs: computes the inputs of the head's linear layer for all examples.
            labels: the labels of the examples.
            measured: the result of `measure`, or None.
            seed: for random choices.
        """
        return {}

    def observe(self, fold: Fold) -> Any:
        """What `measure` needs from one fold; None if its held-out messages have no labels for this head."""
        return None

    def measure(self, observed: Sequence[Any]) -> Any:
        """The measurements of the head on held-out messages, from the results of `observe`; None if there are none.

        Returns:
            A dataclass of the subclass; its `score` is the score of the dense model, its other fields are JSON values.
        """
        return None

    @classmethod
    def measured_from(cls, values: Mapping[str, Any]) -> Any:
        """Reads the result of `measure` from a manifest; None if it has none.

        Args:
            values: the fields of the result by name, without `score`.
        """
        return None


def score_of(predictions: Predictions, examples: EncodedExamples, heads: Sequence[Head]) -> Score:
    """The sum of the scores of all heads.

    Args:
        predictions: the logits of the examples.
        examples: the examples with their labels.
        heads: the heads that made the predictions.
    """
    score = Score()
    for head in heads:
        score += head.score(predictions[head.layer.output], examples.labels[head.name], examples.continues)
    return score


def initial_parameters(heads: Sequence[Head], *, hidden_size: int, features_size: int) -> Parameters:
    """Parameters of the linear layers of heads: zeros."""
    parameters: Parameters = {}
    for head in heads:
        rows = head.layer.rows(hidden_size, features_size)
        parameters[head.layer.kernel] = np.zeros((rows, head.size), np.float32)
        parameters[head.layer.bias] = np.zeros(head.size, np.float32)
    return parameters
