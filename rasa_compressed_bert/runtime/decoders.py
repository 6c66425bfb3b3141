"""Decoders, one for each head: from the outputs of a graph to predictions for a message.

The decoder of a new head is registered with `register_decoder`; a component writes its prediction to the message under
the name of the head.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder, FoundEntity
from rasa_compressed_bert.runtime.ranking import FEATURES, LOGITS, RESPONSE_LOGITS, TAG_LOGITS, IntentRanker
from rasa_compressed_bert.runtime.response_decoder import ResponseDecoder
from rasa_compressed_bert.tokenization.pieces import Pieces

INTENTS, ENTITIES, RESPONSES, ANSWERS = "intents", "entities", "responses", "answers"
"""Names of heads. Answers have no decoder here: several passages are decoded together, see `answer_predictor`."""

Decode = Callable[[str, Optional[Pieces], Mapping[str, np.ndarray]], Any]
"""Takes the text of a message, its wordpieces (None if no head needs them) and the outputs by name."""


def decoders_of(artifact: Artifact) -> Dict[str, Decode]:
    """The decoders of a model, by the names of its heads.

    Raises:
        ArtifactError: if the manifest of the model does not fit a decoder.
    """
    found = {name: open_decoder(artifact) for name, open_decoder in _DECODERS.items()}
    return {name: decode for name, decode in found.items() if decode is not None}


def register_decoder(name: str, open_decoder: Callable[[Artifact], Optional[Decode]]) -> None:
    """Adds a decoder, or replaces one.

    Args:
        name: the name of the head.
        open_decoder: makes the decoder for an artifact; returns None if its model has no such head.
    """
    _DECODERS[name] = open_decoder


def _intents(artifact: Artifact) -> Optional[Decode]:
    if not artifact.manifest["labels"]:
        return None
    ranker = IntentRanker(artifact)
    return lambda text, pieces, outputs: ranker.rank(text, outputs[LOGITS], outputs.get(FEATURES))


def _entities(artifact: Artifact) -> Optional[Decode]:
    if "entities" not in artifact.manifest:
        return None
    decoder = EntityDecoder(artifact.manifest["entities"], artifact.manifest["labels"])

    def decode(text: str, pieces: Optional[Pieces], outputs: Mapping[str, np.ndarray]) -> List[FoundEntity]:
        if pieces is None:
            return []
        return decoder.decode(text, pieces, outputs[TAG_LOGITS][1:-1], outputs.get(LOGITS))

    return decode


def _responses(artifact: Artifact) -> Optional[Decode]:
    if RESPONSES not in artifact.manifest:
        return None
    decoder = ResponseDecoder(artifact.manifest[RESPONSES])
    return lambda text, pieces, outputs: decoder.decode(outputs[RESPONSE_LOGITS])


_DECODERS: Dict[str, Callable[[Artifact], Optional[Decode]]] = {
    INTENTS: _intents,
    ENTITIES: _entities,
    RESPONSES: _responses,
}
