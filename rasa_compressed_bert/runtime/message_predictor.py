"""Text to intents and entities, in one forward pass: what runs once per message."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.data.entities import COMMA, OUTSIDE, EntityLabel, TagScheme
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.ranking import (
    FEATURES,
    LOGITS,
    TAG_LOGITS,
    IntentRanker,
    Ranking,
    outputs_of,
    positive,
)
from rasa_compressed_bert.tokenization.pieces import Pieces, PieceTokenizer

_NO_ENTITIES = {
    **TagScheme(()).to_dict(),
    "temperature": 1.0,
    "cuts": {},
    "inside_words": False,
    "comma_separated": [],
}
_AROUND = ", "  # an item of a list


class FoundEntity(NamedTuple):
    """An entity in a text.

    Attributes:
        start: first character.
        end: behind the last one.
        label: its type and, where there are any, role and group.
        confidence: the smallest probability of the tags of its wordpieces.
    """

    start: int
    end: int
    label: EntityLabel
    confidence: float


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
        self._scheme = TagScheme.from_dict(entities)
        self._tag_temperature = positive(entities["temperature"])
        self._inside_words: bool = entities["inside_words"]
        self._comma_separated = frozenset(entities["comma_separated"])
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
        entities = self._entities(text, pieces, found[TAG_LOGITS][1:-1]) if self._scheme.labels else []
        return Prediction(ranking, entities, pieces)

    def _entities(self, text: str, pieces: Pieces, logits: np.ndarray) -> List[FoundEntity]:
        """Of the logits of the wordpieces' tags, `(T, K)`."""
        if logits.shape[1] != self._scheme.num_tags or not np.isfinite(logits).all():
            raise ArtifactError("What the model gives are no tags: its files are damaged. Train it again.")
        tags = self._scheme.best_tags(logits, None if self._inside_words else pieces.continues)
        spans = self._scheme.spans(tags)
        if not spans:
            return []
        inside = np.flatnonzero(tags != OUTSIDE)
        confidences = np.zeros(len(tags))
        confidences[inside] = _probabilities(logits[inside], tags[inside], self._tag_temperature)
        found = []
        for span in spans:
            start, end = int(pieces.starts[span.first]), int(pieces.ends[span.end - 1])
            confidence = float(confidences[span.first : span.end].min())
            label = self._scheme.labels[span.label]
            parts = _between_commas(text, start, end) if label.entity in self._comma_separated else [(start, end)]
            found.extend(FoundEntity(*part, label, confidence) for part in parts)
        return found


def _between_commas(text: str, start: int, end: int) -> Iterator[Tuple[int, int]]:
    """The items of a list, without blanks and commas around them."""
    commas = [*COMMA.finditer(text, start, end)]
    for first, last in zip([start, *(comma.end() for comma in commas)], [*(comma.start() for comma in commas), end]):
        item = text[first:last]
        first += len(item) - len(item.lstrip(_AROUND))
        if item.strip(_AROUND):
            yield first, first + len(item.strip(_AROUND))


def _probabilities(logits: np.ndarray, tags: np.ndarray, temperature: float) -> np.ndarray:
    """Of the chosen tags.  # (T,)"""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    exponentials = np.exp(scaled)
    return exponentials[np.arange(len(tags)), tags] / exponentials.sum(axis=1)
