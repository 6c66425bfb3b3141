"""What a model is trained and scored on: a text, its intent and its entities, free of Rasa."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import EntitySpan

NO_CLASS = -1
"""The class of an example without an intent."""


@dataclass(frozen=True)
class Example:
    """One message of the training data.

    Attributes:
        text: of the message.
        intent: its intent; None without one.
        entities: annotated in it.
        annotated: whether its entities are annotated; those in the name of an intent are not.
        response: the retrieval intent with its response key, such as `faq/ask_name`; None of another intent.
    """

    text: str
    intent: Optional[str] = None
    entities: Tuple[EntitySpan, ...] = ()
    annotated: bool = True
    response: Optional[str] = None

    @property
    def full_intent(self) -> Optional[str]:
        """The intent, with its response key where it has one."""
        return self.response or self.intent


RESPONSE_DELIMITER = "/"
"""Between a retrieval intent and its response key, as in Rasa."""


def retrieval_intent(response: str) -> str:
    """The intent of a response: of `faq/ask_name`, `faq`."""
    return response.split(RESPONSE_DELIMITER)[0]


class LabelledMessage(NamedTuple):
    """A message to score a model on, and the intent, the entities and the response that it should get."""

    text: str
    intent: str
    entities: Tuple[EntitySpan, ...] = ()
    response: Optional[str] = None


def normal_form(text: str) -> str:
    """What texts have in common that differ in case and blanks alone: a model takes one for the other."""
    return " ".join(text.lower().split())


def first_of_same(texts: Sequence[str]) -> np.ndarray:
    """The position of the first text of each text's normal form.  # (n,)"""
    first: Dict[str, int] = {}
    return np.array([first.setdefault(normal_form(text), place) for place, text in enumerate(texts)], np.int64)


def intent_labels(examples: Iterable[Example]) -> Tuple[str, ...]:
    """The label vocabulary: every intent once, sorted; a label's index is its class."""
    return tuple(sorted({example.intent for example in examples if example.intent is not None}))


def class_indices(examples: Iterable[Example], labels: Sequence[str]) -> np.ndarray:
    """Each example's class, `NO_CLASS` without an intent.  # (n,) int32"""
    index: Dict[Optional[str], int] = {label: position for position, label in enumerate(labels)}
    index[None] = NO_CLASS
    return np.array([index[example.intent] for example in examples], np.int32)


def stratified_split(classes: np.ndarray, share: float, *, seed: int) -> Tuple[np.ndarray, np.ndarray]:
    """Splits examples into training and validation, class by class.

    Every class gives `round(n * share)` of its `n` examples to validation, but always keeps one for training; where
    rounding would leave validation empty although `share > 0`, the largest class gives one.

    Args:
        classes: the class of each example, `(n,)`.
        share: of the examples that are held out, 0 to 0.5.
        seed: of the choice.

    Returns:
        Sorted indices of the training and of the validation examples.
    """
    rng = np.random.default_rng(seed)
    held_out: List[int] = []
    sizes = {int(label): int(count) for label, count in zip(*np.unique(classes, return_counts=True))}
    for label, size in sizes.items():
        take = min(int(size * share + 0.5), size - 1)
        held_out.extend(rng.permutation(np.flatnonzero(classes == label))[:take])
    if share > 0 and not held_out and sizes:
        label = max(sizes, key=lambda key: sizes[key])
        held_out.extend(rng.permutation(np.flatnonzero(classes == label))[: min(1, sizes[label] - 1)])
    validation = np.sort(np.array(held_out, np.int64))
    return np.setdiff1d(np.arange(len(classes)), validation), validation


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `count` examples, evenly spaced: data are often sorted by intent.  # (m,)"""
    chosen = min(count, most)
    return np.arange(chosen) * count // max(1, chosen)
