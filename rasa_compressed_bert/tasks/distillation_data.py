"""What a student learns, whatever its architecture."""

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
        head: with the labels.
        classes: of messages, `(n,)`; of one without a label, the response that the teacher selects, where it takes the
            message for a retrieval intent; else -1.
        soft_targets: the teacher's logits, `(n, R)`.
        temperature: of the teacher's confidences.
    """

    head: ResponseHead
    classes: np.ndarray
    soft_targets: np.ndarray
    temperature: float

    def of(self, places: np.ndarray) -> ResponseData:
        """Those of some messages."""
        return replace(self, classes=self.classes[places], soft_targets=self.soft_targets[places])

    def to_manifest(self) -> Dict[str, Any]:
        """The entry of the manifest of a student."""
        return self.head.entry(self.temperature)


def response_labels(examples: Sequence[Example]) -> List[str]:
    """Every response of some examples once, sorted."""
    return sorted({example.response for example in examples if example.response is not None})


def response_data(
    examples: Sequence[Example],
    teacher: Artifact,
    *,
    intents: Sequence[str],
    intent_targets: np.ndarray,
    response_targets: np.ndarray,
) -> Optional[ResponseData]:
    """What a student learns of responses; None where the teacher selects others than those of the examples.

    Args:
        examples: the training messages.
        teacher: that selects responses.
        intents: the labels of the intents.
        intent_targets: the teacher's logits of intents, of the training messages and, after them, of others, `(n, C)`.
        response_targets: those of responses, `(n, R)`.
    """
    head = ResponseHead.from_manifest(teacher.manifest)
    if head is None or list(head.labels) != response_labels(examples):
        return None
    found = np.array(intents)[intent_targets.argmax(axis=1)]
    own = np.array([[retrieval_intent(label) == intent for label in head.labels] for intent in found])  # (n, R)
    selected = np.where(own, response_targets, -np.inf).argmax(axis=1)
    classes = np.where(own.any(axis=1), selected, NO_LABEL).astype(np.int32)
    classes[: len(examples)] = head.encode(examples, ())
    return ResponseData(head, classes, response_targets, teacher.manifest[head.name]["temperature"])


@dataclass(frozen=True)
class DistillationData:
    """Messages with the teacher's logits, and held-out examples.

    Attributes:
        labels: the intents; a label's index is its class.
        texts: of all training messages, and of most synthetic and unlabelled ones.
        classes: of the former; -1 of the latter, `(n,)`.
        soft_targets: the teacher's logits, `(n, C)`.
        validation_texts: synthetic and unlabelled messages that epochs are compared on; without any the last is kept.
        validation_classes: the intents that the teacher gives them, `(m,)`.
        responses: labels and soft targets of the responses; None without retrieval intents.
        held_out_up_to: largest `digest_place` of a message that is compared on: whatever has a larger one is learnt.
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
        """Labels and soft targets of the texts by their names, see `training.batches.EncodedExamples`.

        Args:
            classes: the intents, `(n,)`.
        """
        targets = {IntentHead.name: classes, soft_targets_of(IntentHead.name): self.soft_targets}
        if self.responses:
            name = self.responses.head.name
            targets.update({name: self.responses.classes, soft_targets_of(name): self.responses.soft_targets})
        return targets
