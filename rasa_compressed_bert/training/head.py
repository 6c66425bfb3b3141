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
"""Of messages an array, `(n, P)`; of wordpieces a list of `n` arrays, `(T_i, P)`."""


class ElementLoss(Protocol):
    """The loss of one message or one wordpiece, whatever head it is of."""

    def labelled(self, logits: tf.Tensor, labels: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """Of logits (..., C), labels (...) and a teacher's logits.  # (...)"""

    def unlabelled(self, logits: tf.Tensor, soft_targets: Optional[tf.Tensor]) -> tf.Tensor:
        """Of logits (..., C) without a label.  # (...)"""


@dataclass(frozen=True)
class Fold:
    """A model, the messages that it was trained on, and those that it was not.

    Attributes:
        model: the trained model.
        examples: all messages.
        pieces: their wordpieces.
        encoded: all messages as the model reads them.
        held_out: places of the messages that the model was not trained on.
        trained_on: places of the others.
        predictions: of the messages that were held out.
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
    """Labels of one kind, and all that training does with them; immutable."""

    name: ClassVar[str]
    """Of its labels, plural: a key of `EncodedExamples.labels`."""
    label_phrase: ClassVar[str]
    """A label with its article, such as "an intent", for messages to users."""
    layer: HeadLayer
    learns_unlabelled: ClassVar[bool] = False
    """Whether a teacher's answers to messages without labels are learnt."""
    learns_filled: ClassVar[bool] = False
    """Whether copies of messages with other values of entities are learnt; labels are of wordpieces then."""
    split_points: SplitPoints = {}
    """Of words that are split before they are tokenized, see `PieceTokenizer`; of the entities alone, since a model is
    served with theirs."""

    @classmethod
    @abstractmethod
    def is_asked_for(cls, config: BertOptions) -> bool:
        """Whether the options ask for it."""

    @classmethod
    @abstractmethod
    def learnt_from(
        cls, examples: Sequence[Example], config: BertOptions, tokenizer: str, *, before: Optional[Head] = None
    ) -> Optional[Head]:
        """The head for some examples; None where these have nothing to learn.

        Args:
            examples: the labelled messages.
            config: all options.
            tokenizer: the `tokenizers` library's JSON.
            before: the head of the training that is continued.
        """

    @classmethod
    @abstractmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Optional[Head]:
        """The inverse of `to_manifest`; None where the model has no such head."""

    @abstractmethod
    def to_manifest(self, measured: Any) -> Dict[str, Any]:
        """Entries of an artifact's manifest.

        Args:
            measured: see `measure`; None where nothing was held out.
        """

    @property
    def parity_entry(self) -> Optional[str]:
        """Where the report of an export has the head; None for the report itself, as of the intents."""
        return self.name

    def temperature(self, measured: Any) -> float:
        """Of its confidences."""
        return 1.0

    def continued(self, now: Head) -> Head:
        """This head, with what the examples of a training that continues add to it; `now` has the same labels."""
        return self

    @property
    @abstractmethod
    def label_names(self) -> Sequence[str]:
        """The labels, for messages to users."""

    @property
    @abstractmethod
    def size(self) -> int:
        """`C`, the width of its output."""

    @abstractmethod
    def encode(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> Labels:
        """The labels of examples, `NO_LABEL` where nothing is known.

        Args:
            examples: the messages.
            pieces: their wordpieces.
        """

    def compared_classes(self, labels: Labels) -> Optional[np.ndarray]:
        """Which logits of a message an export must keep, `(n, C)`; None for all.

        Args:
            labels: of messages.
        """
        return None

    def warn(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> None:
        """Warns of labels that the wordpieces cannot express."""
        return

    def fitted(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> Head:
        """The head after the examples were tokenized with its split points; most do not change."""
        return self

    def without_annotations(
        self, examples: Sequence[Example], hidden: Collection[int], tokenizer: str, *, config: BertOptions
    ) -> Head:
        """The head as it is where the annotations of some examples are not known; most do not change."""
        return self

    def within(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Logits of messages, far below all others where they mean nothing.

        Args:
            logits: `(B, C)`.
            labels: `(B,)`, -1 where there is none.
        """
        return logits

    @abstractmethod
    def losses(
        self, logits: tf.Tensor, labels: tf.Tensor, loss: ElementLoss, soft_targets: Optional[tf.Tensor]
    ) -> tf.Tensor:
        """Losses of a batch.  # (B,)

        Args:
            logits: of the head, `(B, C)` or `(B, T, C)`.
            labels: `(B,)` or `(B, T)`, -1 where there is none.
            loss: of a message or of a wordpiece.
            soft_targets: a teacher's logits, of the shape of `logits`.
        """

    @abstractmethod
    def score(self, logits: Rows, labels: Labels, continues: Optional[Sequence[np.ndarray]]) -> Score:
        """How good logits are; nothing where no example has a label."""

    @abstractmethod
    def probe(self, inputs: Rows, labels: Labels, *, seed: int) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        """Kernel and bias that logistic regression finds, as the start of training; None starts from what there is."""

    def places_to_probe(self, lengths: Sequence[int], *, seed: int) -> np.ndarray:
        """Places of the examples that `probe` is given; all, unless their rows would take too much memory.

        Args:
            lengths: wordpieces of each example.
            seed: of a random choice.
        """
        return np.arange(len(lengths))

    def refitted(self, inputs: Callable[[], Rows], labels: Labels, measured: Any, *, seed: int) -> Parameters:
        """Parameters that take the place of the trained ones in the end; none by default.

        Args:
            inputs: computes what its layer multiplies, of each example.
            labels: of the examples.
            measured: see `measure`; None where nothing was held out.
            seed: of random choices.
        """
        return {}

    def observe(self, fold: Fold) -> Any:
        """What is kept of one fold for `measure`; None where its held-out messages have nothing to measure."""
        return None

    def measure(self, observed: Sequence[Any]) -> Any:
        """What held-out messages show about the head; None where that is nothing.

        Returns:
            A dataclass of the subclass; its `score` is the score of the dense model, its other fields are JSON values.
        """
        return None

    @classmethod
    def measured_from(cls, values: Mapping[str, Any]) -> Any:
        """The result of `measure` as a manifest has it; None where it has none.

        Args:
            values: its fields by name, without `score`.
        """
        return None


def score_of(predictions: Predictions, examples: EncodedExamples, heads: Sequence[Head]) -> Score:
    """The score of all heads together.

    Args:
        predictions: of the examples.
        examples: with their labels.
        heads: that gave the predictions.
    """
    score = Score()
    for head in heads:
        score += head.score(predictions[head.layer.output], examples.labels[head.name], examples.continues)
    return score


def initial_parameters(heads: Sequence[Head], *, hidden_size: int, features_size: int) -> Parameters:
    """Linear layers of zeros."""
    parameters: Parameters = {}
    for head in heads:
        rows = head.layer.rows(hidden_size, features_size)
        parameters[head.layer.kernel] = np.zeros((rows, head.size), np.float32)
        parameters[head.layer.bias] = np.zeros(head.size, np.float32)
    return parameters
