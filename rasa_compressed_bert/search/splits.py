"""The splits of a search: which places of some data are learnt, and which are measured on.

A search tries everything on one split, so that trials can be compared; what it finds there is partly luck. Choices are
made on other splits, and reported on yet others. None of these holds out a place that the search's own holds out, and
no two of the first four hold out the same place.
"""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.example import first_of_same, stratified_split
from rasa_compressed_bert.training.view_fitting import message_folds

HELD_OUT = 0.2
_OTHER_PARTS = 4  # of what the search's own split does not hold out


def split_places(classes: np.ndarray, texts: Sequence[str], *, split: int) -> Tuple[np.ndarray, np.ndarray]:
    """Sorted places to train on, and to measure on: a fifth, stratified.

    Args:
        classes: of all places, `(n,)`.
        texts: of all places; those that differ in case and blanks alone count as one.
        split: 0 is the search's own.
    """
    rest, held_out = stratified_split(classes, HELD_OUT, seed=0, texts=texts)
    if split:
        held_out = _other_part(classes, texts, rest=rest, split=split)
    return np.setdiff1d(np.arange(len(classes)), held_out), held_out


def _other_part(classes: np.ndarray, texts: Sequence[str], *, rest: np.ndarray, split: int) -> np.ndarray:
    """Places that a split other than the search's own holds out.

    Args:
        classes: of all places.
        texts: of all places.
        rest: places that the search's own split does not hold out; each is in one of `_OTHER_PARTS` parts, and after as
            many splits they are dealt anew.
        split: 1 or more.
    """
    labels, counts = np.unique(classes[np.unique(first_of_same(texts))], return_counts=True)
    rest = rest[~np.isin(classes[rest], labels[counts == 1])]  # the only one of its class is always learnt
    deal, place = divmod(split - 1, _OTHER_PARTS)
    folds = message_folds([texts[place] for place in rest], classes[rest], _OTHER_PARTS, seed=deal)
    parts = np.unique(folds)  # fewer where there are very few places
    return rest[folds == parts[place % len(parts)]]
