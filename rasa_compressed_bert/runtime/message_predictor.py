"""Predicts the labels of all heads for a text in one forward pass; runs once for each message."""

from __future__ import annotations

from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.runtime.decoders import ENTITIES, INTENTS, RESPONSES, decoders_of
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.entity_decoder import FoundEntity
from rasa_compressed_bert.runtime.ranking import Ranking, outputs_of
from rasa_compressed_bert.tokenization.pieces import Pieces, PieceTokenizer
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer, is_unknown, unknown_id

_FEWEST = 3  # wordpieces of a message that is not empty; two are the special ones


class Prediction(NamedTuple):
    """The predictions of a model for a text.

    Attributes:
        found: the prediction of each head, by its name; empty for a text without wordpieces.
        pieces: the wordpieces with their positions in the text; None for a text without any, or if not needed.
    """

    found: Mapping[str, Any]
    pieces: Optional[Pieces] = None

    @property
    def ranking(self) -> Ranking:
        """All intents with their confidences, best first; empty if there are none."""
        return self.found.get(INTENTS, [])

    @property
    def entities(self) -> List[FoundEntity]:
        """The entities; empty if there are none."""
        return self.found.get(ENTITIES, [])


NOTHING = Prediction({})


class MessagePredictor:
    """Tokenizer, engine and decoders of one artifact; safe to call from several threads.

    A model that detects messages out of scope gives confidence 0 to all intents of a message that consists of unknown
    wordpieces and punctuation, such as an emoji or another script, unless it was trained on such a message: to the
    model, all of them are the same.

    Args:
        artifact: a BERT or a student with any heads.
        num_threads: the number of threads of the engine; 0 means all cores.
        with_pieces: returns the wordpieces with their positions in the text even if no head needs them.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1, with_pieces: bool = False):
        self._engine = open_engine(artifact, num_threads=num_threads)  # first, as it refuses unknown runtimes by name
        manifest, json = artifact.manifest, artifact.files[TOKENIZER].decode("utf-8")
        self._outputs = outputs_of(manifest)
        self._decoders = decoders_of(artifact)
        # positions in the text take time, and are not needed if only whole messages are labelled
        if with_pieces or not set(self._decoders) <= {INTENTS, RESPONSES}:
            split_points = manifest.get("entities", {}).get("cuts", {})
            self._tokenizer: Any = PieceTokenizer(json, artifact.max_length, split_points)
        else:
            self._tokenizer = WordpieceTokenizer(json, artifact.max_length)
        report = manifest.get("out_of_scope", {})
        self._unknown = None if report.get("has_unknown_messages", True) else unknown_id(json)
        self._punctuation = frozenset(map(int, report.get("punctuation", ())))  # older models have none
        self._rejected = Prediction({INTENTS: [(label, 0.0) for label in manifest["labels"]]})

    def predict(self, text: str) -> Prediction:
        """The predictions of all heads for a text."""
        encoded = self._tokenizer.encode(text)
        pieces = encoded if isinstance(encoded, Pieces) else None
        input_ids = encoded if pieces is None else pieces.input_ids
        if len(input_ids) < _FEWEST:
            return NOTHING
        if self._is_rejected(input_ids):
            return self._rejected
        return self._decoded(text, pieces, run_message(self._engine, input_ids))

    def _is_rejected(self, input_ids: np.ndarray) -> bool:
        """Whether a message consists of unknown wordpieces and punctuation, and has confidence 0 for it."""
        return is_unknown(input_ids, self._unknown, self._punctuation)

    def _decoded(self, text: str, pieces: Optional[Pieces], outputs: Sequence[np.ndarray]) -> Prediction:
        """Decodes the outputs of the graph, given in its order."""
        named = dict(zip(self._outputs, outputs))
        return Prediction({name: decode(text, pieces, named) for name, decode in self._decoders.items()}, pieces)
