"""Examples that a model is trained and scored on: a text, its intent and its entities, independent of Rasa."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Dict, Iterable, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.words import composed

NO_CLASS = -1
"""The class of an example without an intent."""
OUT_OF_SCOPE = "out_of_scope"
"""The intent of messages that belong to no other intent, named as Rasa's documentation recommends."""


@dataclass(frozen=True)
class Example:
    """One message of the training data.

    Attributes:
        text: text of the message.
        intent: its intent; None without one.
        entities: its annotated entities.
        annotated: whether its entities are annotated; those in the name of an intent are not.
        response: the retrieval intent with its response key, such as `faq/ask_name`; None for another intent.
    """

    text: str
    intent: Optional[str] = None
    entities: Tuple[EntitySpan, ...] = ()
    annotated: bool = True
    response: Optional[str] = None

    @property
    def full_intent(self) -> Optional[str]:
        """The intent, with its response key if it has one."""
        return self.response or self.intent


RESPONSE_DELIMITER = "/"
"""The separator of a retrieval intent and its response key, as in Rasa."""


def retrieval_intent(response: str) -> str:
    """The intent of a response, such as `faq` for `faq/ask_name`."""
    return response.split(RESPONSE_DELIMITER)[0]


class LabelledMessage(NamedTuple):
    """A message to score a model on, and its expected intent, entities and response."""

    text: str
    intent: str
    entities: Tuple[EntitySpan, ...] = ()
    response: Optional[str] = None


def normal_form(text: str) -> str:
    """A text in lower case with single spaces: equal for texts that a model hardly distinguishes.

    It is in Unicode's normal form C: composed and decomposed accents look the same, also to a model.
    """
    return composed(" ".join(text.lower().split()))


def first_of_same(texts: Sequence[str]) -> np.ndarray:
    """For each text, the index of the first text with the same normal form.  # (n,)"""
    first: Dict[str, int] = {}
    return np.array([first.setdefault(normal_form(text), place) for place, text in enumerate(texts)], np.int64)


def digest_place(text: str, *, seed: int) -> float:
    """A pseudo-random number in [0, 1) for a text: a choice by it does not depend on the other texts.

    Examples that are held out by it stay held out when training is continued with other data.
    """
    digest = hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def intent_labels(examples: Iterable[Example]) -> Tuple[str, ...]:
    """The distinct intents, sorted; the index of an intent is its class."""
    return tuple(sorted({example.intent for example in examples if example.intent is not None}))


def class_indices(examples: Iterable[Example], labels: Sequence[str]) -> np.ndarray:
    """The class of each example, `NO_CLASS` without an intent.  # (n,) int32"""
    index: Dict[Optional[str], int] = {label: position for position, label in enumerate(labels)}
    index[None] = NO_CLASS
    return np.array([index[example.intent] for example in examples], np.int32)


def stratified_split(
    classes: np.ndarray, share: float, *, seed: int, texts: Optional[Sequence[str]] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """Splits examples into training and validation, stratified by class.

    Of each class with `n` examples, `n * share` are held out for validation, rounded up or down such that the share is
    right in total, too: this holds out examples of some of many small classes, although each has less than one. The
    only example of a class stays in training. If `share > 0`, at least one example is held out, where possible.

    Args:
        classes: the class of each example, `(n,)`.
        share: share of the examples that are held out, 0 to 0.5.
        seed: random seed.
        texts: texts of the examples: those that differ only in case and whitespace count as one, and stay together.

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
    """Indices of at most `most` of `count` examples, evenly spaced, as data are often sorted by intent.  # (m,)"""
    chosen = min(count, most)
    return np.arange(chosen) * count // max(1, chosen)
