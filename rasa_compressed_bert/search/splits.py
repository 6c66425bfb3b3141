"""The splits of a search: which positions of the data are trained on, and which are held out to measure on.

All trials use one split, so that they can be compared; the best score there is partly luck. Therefore choices are made
on other splits, and reported on yet others. None of these holds out a position that the search's own split holds out,
and no two of the first four hold out the same position.
"""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.example import first_of_same, stratified_split
from rasa_compressed_bert.training.view_fitting import message_folds

HELD_OUT = 0.2
_OTHER_PARTS = 4  # parts of the positions that the search's own split does not hold out


def split_places(classes: np.ndarray, texts: Sequence[str], *, split: int) -> Tuple[np.ndarray, np.ndarray]:
    """Sorted positions to train on, and to measure on: a stratified fifth.

    Args:
        classes: classes of all positions, `(n,)`.
        texts: texts of all positions; texts that differ only in case and white space are kept together.
        split: number of the split; 0 is the search's own.
    """
    rest, held_out = stratified_split(classes, HELD_OUT, seed=0, texts=texts)
    if split:
        held_out = _other_part(classes, texts, rest=rest, split=split)
    return np.setdiff1d(np.arange(len(classes)), held_out), held_out


def _other_part(classes: np.ndarray, texts: Sequence[str], *, rest: np.ndarray, split: int) -> np.ndarray:
    """The positions that a split other than the search's own holds out.

    Args:
        classes: classes of all positions.
        texts: texts of all positions.
        rest: positions that the search's own split does not hold out. They are divided into `_OTHER_PARTS` parts, one
            for each split; after as many splits they are divided again.
        split: number of the split, 1 or more.
    """
    labels, counts = np.unique(classes[np.unique(first_of_same(texts))], return_counts=True)
    rest = rest[~np.isin(classes[rest], labels[counts == 1])]  # the only example of its class is never held out
    deal, place = divmod(split - 1, _OTHER_PARTS)
    folds = message_folds([texts[place] for place in rest], classes[rest], _OTHER_PARTS, seed=deal)
    parts = np.unique(folds)  # fewer if there are very few positions
    return rest[folds == parts[place % len(parts)]]
