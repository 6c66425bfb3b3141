"""Training with only the word embeddings that the data uses.

A wordpiece that no example contains gets no gradient, so leaving it out changes nothing; but its row and its two
moments would be updated in every step: 11.7 million numbers for MiniLM, as many as the encoder itself has.
"""

from __future__ import annotations

from typing import List, Mapping, NamedTuple, Sequence

import numpy as np

from rasa_compressed_bert.models.encoder import Parameters

_TABLE = "embeddings.word"


class UsedVocabulary(NamedTuple):
    """The rows of the word embeddings that some messages use, sorted."""

    rows: np.ndarray  # (U,)

    @classmethod
    def of(cls, input_ids: Sequence[np.ndarray], *, first: int = 1) -> UsedVocabulary:
        """Collects the vocabulary of messages.

        Args:
            input_ids: the wordpiece ids of the messages.
            first: the number of rows at the beginning of the table that are always included, so that they keep their
                ids: row 0, the padding, and the rows up to the separator if the encoder knows its id
                (`EncoderShape.separator`).
        """
        return cls(np.unique(np.concatenate([np.arange(first), *input_ids]).astype(np.int64)))

    def renumber(self, input_ids: Sequence[np.ndarray]) -> List[np.ndarray]:
        """Converts ids to positions in `rows`."""
        return [np.searchsorted(self.rows, ids).astype(np.int32) for ids in input_ids]

    def whole(self, input_ids: Sequence[np.ndarray]) -> List[np.ndarray]:
        """The inverse of `renumber`."""
        return [self.rows[ids].astype(np.int32) for ids in input_ids]

    def narrow(self, parameters: Mapping[str, np.ndarray]) -> Parameters:
        """The parameters with the used rows only."""
        return {**parameters, _TABLE: parameters[_TABLE][self.rows]}

    def widen(self, parameters: Mapping[str, np.ndarray], table: np.ndarray) -> Parameters:
        """The parameters with the used rows written back into the whole `table`."""
        whole = table.copy()
        whole[self.rows] = parameters[_TABLE]
        return {**parameters, _TABLE: whole}
