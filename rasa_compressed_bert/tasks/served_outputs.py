"""Outputs of a trained model for many messages, computed as in serving, and their scores."""

from __future__ import annotations

from typing import Callable, Collection, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import SPACY_MODEL, TOKENIZER, Artifact
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.metrics.entities import entity_f1
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.message_predictor import Prediction
from rasa_compressed_bert.runtime.ranking import FEATURES, LOGITS, outputs_of
from rasa_compressed_bert.runtime.spacy_predictor import SpacyPredictor
from rasa_compressed_bert.tasks.all_cores import on_all_cores
from rasa_compressed_bert.tokenization.pieces import PieceTokenizer
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer


def served_outputs(artifact: Artifact, texts: Sequence[str], *, name: str) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Logits and features of messages.

    Args:
        artifact: a model with intents.
        texts: the messages, at least one.
        name: the label of the progress bar.

    Returns:
        Logits `(n, C)`, and features `(n, P)`, or None if the model has no output for features.
    """
    if SPACY_MODEL in artifact.files:
        return SpacyPredictor(artifact).logits(texts), None
    served = outputs_of_messages(artifact, texts, (LOGITS, FEATURES), name=name)
    return served[LOGITS], served.get(FEATURES)


def outputs_of_messages(
    artifact: Artifact, texts: Sequence[str], wanted: Collection[str], *, name: str
) -> Mapping[str, np.ndarray]:
    """Some outputs of a graph for whole messages, by name, as far as the model has them; the others are not kept.

    Args:
        artifact: a model with intents that is not a spaCy model.
        texts: the messages, at least one.
        wanted: names of outputs that have one row for each message.
        name: the label of the progress bar.
    """
    engine, encode, outputs = open_engine(artifact), encoder_of(artifact), outputs_of(artifact.manifest)
    encoded = [encode(text) for text in texts]

    def serve(place: int) -> Dict[str, np.ndarray]:
        row = zip(outputs, run_message(engine, encoded[place]))
        return {output: values for output, values in row if output in wanted}

    rows = on_all_cores(serve, [len(ids) for ids in encoded], name=name)
    return {output: np.stack([row[output] for row in rows]) for output in outputs if output in wanted}


def served_scores(
    artifact: Artifact, predictions: Sequence[Prediction], examples: Sequence[Example]
) -> Dict[str, float]:
    """`accuracy` and `macro_f1` of intents, and `entity_f1`, as far as both the model and the examples have labels.

    Args:
        artifact: the model.
        predictions: its predictions, one for each message.
        examples: the messages with their labels.
    """
    scores: Dict[str, float] = {}
    pairs = [(one.intent, found.ranking[0][0] if found.ranking else None) for one, found in zip(examples, predictions)]
    known = [pair for pair in pairs if pair[0] is not None]
    if artifact.manifest["labels"] and known:
        scores.update(intent_scores(*zip(*known)))
    if "entities" in artifact.manifest:
        found = [[(one.start, one.end, *one.label) for one in prediction.entities] for prediction in predictions]
        f1 = entity_f1([example.entities for example in examples], found)
        scores.update({} if f1 is None else {"entity_f1": f1})
    return scores


def encoder_of(artifact: Artifact) -> Callable[[str], np.ndarray]:
    """Returns a function that encodes a text as wordpiece ids, as serving does."""
    tokenizer, max_length = artifact.files[TOKENIZER].decode("utf-8"), artifact.manifest["max_length"]
    if "entities" not in artifact.manifest:
        return WordpieceTokenizer(tokenizer, max_length).encode
    pieces = PieceTokenizer(tokenizer, max_length, artifact.manifest["entities"]["cuts"])
    return lambda text: pieces.encode(text).input_ids
