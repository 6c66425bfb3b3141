"""How a tokenizer encodes a pair of texts, such as BERT's `[CLS] question [SEP] passage [SEP]`."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np
from tokenizers import Tokenizer

from rasa_compressed_bert.errors import WeightsError

_PLACES = 2  # texts of a pair


class PairTemplate(NamedTuple):
    """The special wordpieces of a pair.

    Attributes:
        first: those before the first text, `(n,)` int64.
        between: those between the two texts: one for BERT, two for RoBERTa.
        last: those after the second text.
        separator: the id of the wordpiece that ends the first text, after which the second token type begins; None if
            both texts have the same type, as for RoBERTa.
    """

    first: np.ndarray
    between: np.ndarray
    last: np.ndarray
    separator: Optional[int]

    @property
    def size(self) -> int:
        """The number of special wordpieces."""
        return len(self.first) + len(self.between) + len(self.last)

    def joined(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The ids of a pair, from the ids of its two texts, `(T_1,)` and `(T_2,)`.  # (T,) int64"""
        return np.concatenate([self.first, first, self.between, second, self.last])


def pair_template(json: str) -> PairTemplate:
    """Finds the template of a tokenizer.

    Args:
        json: the `tokenizers` library's own serialisation.

    Raises:
        WeightsError: if there is no special wordpiece between the two texts of a pair.
    """
    tokenizer = Tokenizer.from_str(json)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encoding = tokenizer.encode("a", "a")
    ids, sequences = np.array(encoding.ids, np.int64), encoding.sequence_ids
    first, second = ([place for place, own in enumerate(sequences) if own == number] for number in range(_PLACES))
    if not first or not second or not first[-1] < second[0] - 1:
        raise WeightsError(
            "The tokenizer of the weights puts no separator between the two texts of a pair. Use other weights to "
            "answer questions."
        )
    types = encoding.type_ids
    is_typed = types[first[-1] : second[0] + 1] == [0, *[0] * (second[0] - first[-1] - 1), 1]
    between = ids[first[-1] + 1 : second[0]]
    return PairTemplate(ids[: first[0]], between, ids[second[-1] + 1 :], int(between[-1]) if is_typed else None)
