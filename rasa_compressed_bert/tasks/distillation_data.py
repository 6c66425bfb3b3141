"""The training data of a student, for all architectures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.example import Example, retrieval_intent
from rasa_compressed_bert.heads import Head, IntentHead, ResponseHead
from rasa_compressed_bert.training.batches import NO_LABEL, soft_targets_of


@dataclass(frozen=True)
class ResponseData:
    """The responses of retrieval intents that a student learns.

    Attributes:
        head: the head of the responses, with their labels.
        classes: the response of each message, `(n,)`. For an unlabelled message it is the one that the teacher selects,
            if the teacher predicts a retrieval intent, else -1.
        soft_targets: the teacher's logits, `(n, R)`.
        temperature: the temperature of the teacher's confidences.
    """

    head: ResponseHead
    classes: np.ndarray
    soft_targets: np.ndarray
    temperature: float

    def of(self, places: np.ndarray) -> ResponseData:
        """Selects some messages."""
        return replace(self, classes=self.classes[places], soft_targets=self.soft_targets[places])

    def to_manifest(self) -> Dict[str, Any]:
        """The entry in the manifest of a student."""
        return self.head.entry(self.temperature)


def response_labels(examples: Sequence[Example]) -> List[str]:
    """The distinct responses of examples, sorted."""
    return sorted({example.response for example in examples if example.response is not None})


def response_data(
    examples: Sequence[Example],
    teacher: Artifact,
    *,
    intents: Sequence[str],
    intent_targets: np.ndarray,
    response_targets: np.ndarray,
) -> Optional[ResponseData]:
    """The responses that a student learns; None if the teacher's responses are not those of the examples.

    Args:
        examples: the training messages.
        teacher: the teacher's artifact.
        intents: the labels of the intents.
        intent_targets: the teacher's logits of intents, for the training messages followed by others, `(n, C)`.
        response_targets: the teacher's logits of responses, for the same messages, `(n, R)`.
    """
    head = ResponseHead.from_manifest(teacher.manifest)
    if head is None or list(head.labels) != response_labels(examples):
        return None
    of_intent = np.array([[retrieval_intent(label) == intent for label in head.labels] for intent in intents])  # (C, R)
    own = of_intent[intent_targets.argmax(axis=1)]  # (n, R)
    selected = np.where(own, response_targets, -np.inf).argmax(axis=1)
    classes = np.where(own.any(axis=1), selected, NO_LABEL).astype(np.int32)
    classes[: len(examples)] = head.encode(examples, ())
    return ResponseData(head, classes, response_targets, teacher.manifest[head.name]["temperature"])


@dataclass(frozen=True)
class DistillationData:
    """Messages with the teacher's logits, and validation messages.

    Attributes:
        labels: the intents; a label's index is its class.
        texts: all training messages, and most synthetic and unlabelled ones.
        classes: the intents of the training messages; -1 for the others, `(n,)`.
        soft_targets: the teacher's logits, `(n, C)`.
        validation_texts: synthetic and unlabelled messages on which epochs are compared; without any, the last epoch is
            kept.
        validation_classes: the intents that the teacher predicts for them, `(m,)`.
        responses: labels and soft targets of the responses; None without retrieval intents.
        held_out_up_to: the largest `digest_place` of a validation message; messages with a larger one are learnt.
    """

    labels: Tuple[str, ...]
    texts: Sequence[str]
    classes: np.ndarray
    soft_targets: np.ndarray
    validation_texts: Sequence[str]
    validation_classes: np.ndarray
    responses: Optional[ResponseData] = None
    held_out_up_to: float = 0.0

    @property
    def heads(self) -> Tuple[Head, ...]:
        """The heads of a student."""
        intents = IntentHead(self.labels)
        return (intents, self.responses.head) if self.responses else (intents,)

    def targets(self, classes: np.ndarray) -> Dict[str, np.ndarray]:
        """Labels and soft targets of the texts, by their names, see `training.batches.EncodedExamples`.

        Args:
            classes: the intents to learn, `(n,)`.
        """
        targets = {IntentHead.name: classes, soft_targets_of(IntentHead.name): self.soft_targets}
        if self.responses:
            name = self.responses.head.name
            targets.update({name: self.responses.classes, soft_targets_of(name): self.responses.soft_targets})
        return targets
