"""Rasa's messages as examples, and predictions as Rasa's messages."""

from __future__ import annotations

from typing import Iterable, Iterator, List, Sequence, Tuple

from rasa.nlu.constants import DENSE_FEATURIZABLE_ATTRIBUTES, TOKENS_NAMES
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, INTENT_RANKING_KEY, PREDICTED_CONFIDENCE_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.components.config_io import ComponentError
from rasa_compressed_bert.data.example import Example

_SHOWN = 40


def intent_examples(training_data: TrainingData) -> List[Example]:
    """Every NLU example that has a text and an intent; of a retrieval intent, the intent without its response key."""
    return [
        Example(message.get(TEXT), message.get(INTENT))
        for message in training_data.intent_examples
        if (message.get(TEXT) or "").strip()
    ]


def words_to_featurize(messages: Iterable[Message]) -> Iterator[Tuple[Message, str, List[str]]]:
    """Every message that has words in its text, response or action text, the name of that attribute, and the words.

    Of an empty text tokenizers make one empty word: it counts, as some classifiers fail on messages without features.

    Raises:
        ComponentError: if no tokenizer was there before.
    """
    for message in messages:
        for attribute in DENSE_FEATURIZABLE_ATTRIBUTES:
            text, tokens = message.get(attribute), message.get(TOKENS_NAMES[attribute])
            if text and tokens is None:
                raise ComponentError(
                    f"The message '{text[:_SHOWN]}' has no words. Put a tokenizer, such as WhitespaceTokenizer, before "
                    "QuantizedBertFeaturizer in the pipeline."
                )
            if tokens:
                yield message, attribute, [token.text for token in tokens]


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
