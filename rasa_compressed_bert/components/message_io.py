"""Rasa's messages as examples, and predictions as Rasa's messages."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, INTENT_RANKING_KEY, PREDICTED_CONFIDENCE_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.data.example import Example


def intent_examples(training_data: TrainingData) -> List[Example]:
    """Every NLU example that has a text and an intent; of a retrieval intent, the intent without its response key."""
    return [
        Example(message.get(TEXT), message.get(INTENT))
        for message in training_data.intent_examples
        if (message.get(TEXT) or "").strip()
    ]


def set_intent(message: Message, ranking: Sequence[Tuple[str, float]], *, ranking_length: int) -> None:
    """Writes the intent and the ranking as Rasa's own classifiers do; an empty ranking is no intent.

    Args:
        message: gets `intent` and `intent_ranking`.
        ranking: intents and confidences, best first.
        ranking_length: how many are listed; 0 for all.
    """
    listed = ranking[: ranking_length or None]
    entries = [{INTENT_NAME_KEY: name, PREDICTED_CONFIDENCE_KEY: confidence} for name, confidence in listed]
    best = dict(entries[0]) if entries else {INTENT_NAME_KEY: None, PREDICTED_CONFIDENCE_KEY: 0.0}  # Rasa adds to it
    message.set(INTENT, best, add_to_output=True)
    message.set(INTENT_RANKING_KEY, entries, add_to_output=True)
