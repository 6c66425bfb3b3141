"""The classes that a classifier predicts worst, and the pairs that it confuses most."""

from __future__ import annotations

from typing import List, NamedTuple

import numpy as np


class Weak(NamedTuple):
    """A class, its mistakes (its examples that are missed, others taken for it), its F1 as a share and its examples."""

    label: int
    mistakes: int
    f1: float
    examples: int


class Confused(NamedTuple):
    """The number of examples of one class that are predicted as another one, and the index of the first of them."""

    label: int
    predicted: int
    examples: int
    first: int


def weakest(classes: np.ndarray, predicted: np.ndarray, *, most: int) -> List[Weak]:
    """The classes with the most mistakes, in descending order; of equal ones, those with a lower F1 first.

    By F1 alone, classes with one or two examples would come first, whose F1 is 0 by chance.

    Args:
        classes: classes of the examples, `(n,)`.
        predicted: predicted classes, `(n,)`.
        most: maximum number of classes.
    """
    found = []
    for label in np.unique(classes).tolist():
        own, given = classes == label, predicted == label
        mistakes = int((own != given).sum())
        if mistakes:
            f1 = 2.0 * float((own & given).sum()) / float(own.sum() + given.sum())
            found.append(Weak(label, mistakes, f1, int(own.sum())))
    return sorted(found, key=lambda weak: (-weak.mistakes, weak.f1))[:most]


def most_confused(classes: np.ndarray, predicted: np.ndarray, *, most: int) -> List[Confused]:
    """The pairs of a class and a predicted class that are confused most often, in descending order.

    Args:
        classes: classes of the examples, `(n,)`.
        predicted: predicted classes, `(n,)`.
        most: maximum number of pairs.
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
