"""Which entities the training messages of each intent have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, Mapping, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import EntityLabel
from rasa_compressed_bert.data.example import Example


@dataclass(frozen=True)
class LabelCounts:
    """The number of messages of each intent, and how many of them have an entity of each label.

    Attributes:
        messages: the number of annotated messages, by intent.
        labelled: how many of them have an entity of each label, `L` numbers, by intent.
    """

    messages: Mapping[str, int]
    labelled: Mapping[str, Tuple[int, ...]]

    @classmethod
    def of(cls, examples: Iterable[Example], labels: Sequence[EntityLabel]) -> LabelCounts:
        """Counts annotated messages that have an intent.

        Args:
            examples: the messages.
            labels: the labels to count, `L`.
        """
        messages: Dict[str, int] = {}
        labelled: Dict[str, np.ndarray] = {}
        for example in examples:
            if example.intent is None or not example.annotated:
                continue
            found = {span.label for span in example.entities}
            has = np.array([label in found for label in labels], int)
            messages[example.intent] = messages.get(example.intent, 0) + 1
            labelled[example.intent] = labelled.get(example.intent, 0) + has
        return cls(messages, {intent: tuple(counts.tolist()) for intent, counts in labelled.items()})

    def to_dict(self) -> Dict[str, Any]:
        """As JSON values: for each intent the number of messages, and those with each label."""
        return {intent: [count, *self.labelled[intent]] for intent, count in self.messages.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Sequence[int]], size: int) -> LabelCounts:
        """The inverse of `to_dict`.

        Args:
            values: JSON values.
            size: the number of labels, `L`.

        Raises:
            ValueError: if there are more or fewer counts than labels, or if some are impossible.
        """
        for intent, counts in values.items():
            possible = len(counts) == 1 + size and all(isinstance(count, int) for count in counts)
            if not possible or counts[0] < 1 or not all(0 <= count <= counts[0] for count in counts[1:]):
                raise ValueError(f"not {size} counts of labels: '{intent}'")
        return cls(
            {intent: counts[0] for intent, counts in values.items()},
            {intent: tuple(counts[1:]) for intent, counts in values.items()},
        )

    def log_ratios(self, intents: Sequence[str]) -> np.ndarray:
        """`log(P(label | intent) / P(label))`: the pointwise mutual information of intents and labels.  # (I, L)

        Before a probability is computed, one message in which each label is as frequent as in all messages is added
        to those of each intent (Church and Hanks 1990, with additive smoothing). It is 0 for labels and intents
        without messages.

        Args:
            intents: the intents, `I`, in the order of the rows.
        """
        none = (0,) * len(next(iter(self.labelled.values()), ()))
        messages = np.array([self.messages.get(intent, 0) for intent in intents], float)[:, np.newaxis]  # (I, 1)
        labelled = np.array([self.labelled.get(intent, none) for intent in intents], float)  # (I, L)
        share = labelled.sum(axis=0) / max(messages.sum(), 1.0)  # P(label), (L,)
        known = share > 0
        ratios = np.ones_like(labelled)
        ratios[:, known] = (labelled[:, known] + share[known]) / (messages + 1.0) / share[known]
        return np.log(ratios)
