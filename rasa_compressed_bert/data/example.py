"""What a model is trained and scored on: a text, its intent and its entities, free of Rasa."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Dict, Iterable, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import EntitySpan

NO_CLASS = -1
"""The class of an example without an intent."""
OUT_OF_SCOPE = "out_of_scope"
"""An intent of this name holds messages that no other intent is right for, as Rasa's documentation recommends."""


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


def digest_place(text: str, *, seed: int) -> float:
    """A number from 0 up to 1, uniformly distributed over texts: a choice by it does not depend on other texts.

    What is held out by it stays held out in a training that goes on with other data.
    """
    digest = hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def intent_labels(examples: Iterable[Example]) -> Tuple[str, ...]:
    """The label vocabulary: every intent once, sorted; a label's index is its class."""
    return tuple(sorted({example.intent for example in examples if example.intent is not None}))


def class_indices(examples: Iterable[Example], labels: Sequence[str]) -> np.ndarray:
    """Each example's class, `NO_CLASS` without an intent.  # (n,) int32"""
    index: Dict[Optional[str], int] = {label: position for position, label in enumerate(labels)}
    index[None] = NO_CLASS
    return np.array([index[example.intent] for example in examples], np.int32)


def stratified_split(
    classes: np.ndarray, share: float, *, seed: int, texts: Optional[Sequence[str]] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """Splits examples into training and validation, class by class.

    Every class gives `n * share` of its `n` examples to validation, rounded up or down such that all of them together
    give that share, too: many classes of a few examples give some, although each alone gives less than one. The only
    example of a class stays in training. Where nothing would be left for validation although `share > 0`, one example
    is.

    Args:
        classes: the class of each example, `(n,)`.
        share: of the examples that are held out, 0 to 0.5.
        seed: of the choice.
        texts: of the examples: those that differ in case and blanks alone count as one, and are in one part.

    Returns:
        Sorted indices of the training and of the validation examples.
    """
    rng = np.random.default_rng(seed)
    first = np.arange(len(classes)) if texts is None else first_of_same(texts)
    distinct = np.unique(first)
    labels, sizes = np.unique(classes[distinct], return_counts=True)
    own = [rng.permutation(distinct[classes[distinct] == label]) for label in rng.permutation(labels[sizes > 1])]
    ordered = np.concatenate([np.zeros(0, np.int64), *own])  # class by class
    steps = np.floor(np.arange(len(ordered) + 1) * share + rng.random())
    chosen = ordered[steps[1:] > steps[:-1]]
    if share > 0 and not len(chosen):
        chosen = ordered[:1]
    validation = np.flatnonzero(np.isin(first, chosen))
    return np.setdiff1d(np.arange(len(classes)), validation), validation


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `count` examples, evenly spaced: data are often sorted by intent.  # (m,)"""
    chosen = min(count, most)
    return np.arange(chosen) * count // max(1, chosen)
