"""What a classifier has the most wrong."""

from __future__ import annotations

from typing import List, NamedTuple

import numpy as np


class Weak(NamedTuple):
    """A class, its F1 as a share, and how many examples it has."""

    label: int
    f1: float
    examples: int


class Confused(NamedTuple):
    """How many examples of one class are taken for another one, and the position of the first of them."""

    label: int
    predicted: int
    examples: int
    first: int


def weakest(classes: np.ndarray, predicted: np.ndarray, *, most: int) -> List[Weak]:
    """The classes with the lowest F1, those without a mistake left out, the worst first; of a tie the largest.

    Args:
        classes: of examples, `(n,)`.
        predicted: what they are taken for, `(n,)`.
        most: how many classes.
    """
    found = []
    for label in np.unique(classes).tolist():
        own, given = classes == label, predicted == label
        f1 = 2.0 * float((own & given).sum()) / float(own.sum() + given.sum())
        if f1 < 1.0:
            found.append(Weak(label, f1, int(own.sum())))
    return sorted(found, key=lambda weak: (weak.f1, -weak.examples))[:most]


def most_confused(classes: np.ndarray, predicted: np.ndarray, *, most: int) -> List[Confused]:
    """The pairs of classes that are mistaken for each other most often.

    Args:
        classes: of examples, `(n,)`.
        predicted: what they are taken for, `(n,)`.
        most: how many pairs.
    """
    wrong = np.flatnonzero(classes != predicted)
    pairs, first, counts = np.unique(
        np.stack([classes[wrong], predicted[wrong]], axis=1), axis=0, return_index=True, return_counts=True
    )
    found = [
        Confused(int(label), int(other), int(count), int(wrong[place]))
        for (label, other), place, count in zip(pairs, first, counts)
    ]
    return sorted(found, key=lambda pair: -pair.examples)[:most]
