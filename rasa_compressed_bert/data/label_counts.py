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
        counts: by intent, the number of annotated messages, followed by the number of those with each label, `1 + L`.
    """

    counts: Mapping[str, Tuple[int, ...]]

    @classmethod
    def of(cls, examples: Iterable[Example], labels: Sequence[EntityLabel]) -> LabelCounts:
        """Counts annotated messages that have an intent.

        Args:
            examples: the messages.
            labels: the labels to count, `L`.
        """
        counts: Dict[str, np.ndarray] = {}
        for example in examples:
            if example.intent is not None and example.annotated:
                found = {span.label for span in example.entities}
                one = np.array([1, *(label in found for label in labels)])
                counts[example.intent] = counts.get(example.intent, 0) + one
        return cls({intent: tuple(own.tolist()) for intent, own in counts.items()})

    def to_dict(self) -> Dict[str, Any]:
        """As JSON values."""
        return {intent: list(own) for intent, own in self.counts.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Sequence[int]], size: int) -> LabelCounts:
        """The inverse of `to_dict`.

        Args:
            values: JSON values.
            size: the number of labels, `L`.

        Raises:
            ValueError: if there are more or fewer counts than labels, or if some are impossible.
        """
        for intent, own in values.items():
            possible = len(own) == 1 + size and all(isinstance(count, int) for count in own)
            if not possible or own[0] < 1 or not all(0 <= count <= own[0] for count in own[1:]):
                raise ValueError(f"not {size} counts of labels: '{intent}'")
        return cls({intent: tuple(own) for intent, own in values.items()})

    def log_ratios(self, intents: Sequence[str]) -> np.ndarray:
        """`log(P(label | intent) / P(label))`: the pointwise mutual information of intents and labels.  # (I, L)

        Before a probability is computed, one message in which each label is as frequent as in all messages is added
        to those of each intent (Church and Hanks 1990, with additive smoothing). It is 0 for labels and intents
        without messages.

        Args:
            intents: the intents, `I`, in the order of the rows.
        """
        none = (0,) * len(next(iter(self.counts.values()), (0,)))
        counts = np.array([self.counts.get(intent, none) for intent in intents], float)
        messages, labelled = counts[:, :1], counts[:, 1:]  # (I, 1) and (I, L)
        share = labelled.sum(axis=0) / max(messages.sum(), 1.0)  # P(label), (L,)
        known = share > 0
        ratios = np.ones_like(labelled)
        ratios[:, known] = (labelled[:, known] + share[known]) / (messages + 1.0) / share[known]
        return np.log(ratios)
