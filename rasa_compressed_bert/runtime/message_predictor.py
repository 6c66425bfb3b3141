"""From a text to what a model finds in it, in one forward pass: what runs once for each message."""

from __future__ import annotations

from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.runtime.decoders import ENTITIES, INTENTS, RESPONSES, decoders_of
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.entity_decoder import FoundEntity
from rasa_compressed_bert.runtime.ranking import Ranking, outputs_of
from rasa_compressed_bert.tokenization.pieces import Pieces, PieceTokenizer
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

_FEWEST = 3  # wordpieces of a message with something to read: two are the special ones


class Prediction(NamedTuple):
    """What a model finds in a text.

    Attributes:
        found: by the name of the head; empty for a text without any wordpiece.
        pieces: the wordpieces; None for a text without any, and where no places in the text were asked for.
    """

    found: Mapping[str, Any]
    pieces: Optional[Pieces] = None

    @property
    def ranking(self) -> Ranking:
        """All intents with their confidences, best first; empty where there are none."""
        return self.found.get(INTENTS, [])

    @property
    def entities(self) -> List[FoundEntity]:
        """The entities; empty where there are none."""
        return self.found.get(ENTITIES, [])


NOTHING = Prediction({})


class MessagePredictor:
    """Tokenizer, engine and decoders of one artifact; safe to call from several threads.

    Args:
        artifact: of a BERT or a student with any heads.
        num_threads: of the engine; 0 means all cores.
        with_pieces: gives the wordpieces with their places in the text, also where no head needs them.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1, with_pieces: bool = False):
        self._engine = open_engine(artifact, num_threads=num_threads)  # first: it refuses unknown runtimes by name
        manifest, json = artifact.manifest, artifact.files[TOKENIZER].decode("utf-8")
        self._outputs = outputs_of(manifest)
        self._decoders = decoders_of(artifact)
        # places in the text take time: where only whole messages are decoded, nobody asks for them
        if with_pieces or not set(self._decoders) <= {INTENTS, RESPONSES}:
            split_points = manifest.get("entities", {}).get("cuts", {})
            self._tokenizer: Any = PieceTokenizer(json, manifest["max_length"], split_points)
        else:
            self._tokenizer = WordpieceTokenizer(json, manifest["max_length"])

    def predict(self, text: str) -> Prediction:
        """What the heads find in a text."""
        encoded = self._tokenizer.encode(text)
        pieces = encoded if isinstance(encoded, Pieces) else None
        input_ids = encoded if pieces is None else pieces.input_ids
        if len(input_ids) < _FEWEST:
            return NOTHING
        return self._decoded(text, pieces, run_message(self._engine, input_ids))

    def _decoded(self, text: str, pieces: Optional[Pieces], outputs: Sequence[np.ndarray]) -> Prediction:
        """Of the outputs of a graph, in its order."""
        named = dict(zip(self._outputs, outputs))
        return Prediction({name: decode(text, pieces, named) for name, decode in self._decoders.items()}, pieces)
