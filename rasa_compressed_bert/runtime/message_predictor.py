"""Text to intents and entities, in one forward pass: what runs once per message."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.data.entities import TagScheme
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder, FoundEntity
from rasa_compressed_bert.runtime.ranking import (
    FEATURES,
    LOGITS,
    TAG_LOGITS,
    IntentRanker,
    Ranking,
    outputs_of,
)
from rasa_compressed_bert.tokenization.pieces import Pieces, PieceTokenizer

_NO_ENTITIES = {
    **TagScheme(()).to_dict(),
    "temperature": 1.0,
    "cuts": {},
    "inside_words": False,
    "comma_separated": [],
}


class Prediction(NamedTuple):
    """What a model says of a text."""

    ranking: Ranking  # empty for a text without any wordpiece, and for a model without intents
    entities: List[FoundEntity]
    pieces: Optional[Pieces]  # None for a text without any wordpiece


NOTHING = Prediction([], [], None)


class MessagePredictor:
    """Tokenizer, engine, calibrated softmax and decoding of one artifact; safe to call from several threads.

    Args:
        artifact: of a BERT that says intents, entities or both.
        num_threads: of the engine.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        manifest = artifact.manifest
        entities = manifest.get("entities", _NO_ENTITIES)
        self._engine = open_engine(artifact, num_threads=num_threads)
        self._outputs = outputs_of(manifest)
        self._ranker = IntentRanker(artifact)
        self._entities = EntityDecoder(entities)
        self._tokenizer = PieceTokenizer(
            artifact.files[TOKENIZER].decode("utf-8"), manifest["max_length"], entities["cuts"]
        )

    def predict(self, text: str) -> Prediction:
        """The intents and the entities of a text."""
        pieces = self._tokenizer.encode(text)
        if not len(pieces.starts):
            return NOTHING
        return self._decoded(text, pieces, run_message(self._engine, pieces.input_ids))

    def _decoded(self, text: str, pieces: Pieces, outputs: Sequence[np.ndarray]) -> Prediction:
        """Of a graph's outputs: logits `(C,)`, features `(P,)` and logits of tags `(T + 2, K)`, where it gives them."""
        found = dict(zip(self._outputs, outputs))
        labels = self._ranker.labels
        ranking = self._ranker.rank(text, found[LOGITS], found.get(FEATURES)) if labels else []
        entities = []
        if self._entities.scheme.labels:
            entities = self._entities.decode(text, pieces, found[TAG_LOGITS][1:-1])
        return Prediction(ranking, entities, pieces)
