"""Messages from files of NLU data in Rasa's formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import numpy as np

from rasa_compressed_bert.data.entities import EntitySpan, position, without_blanks
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError, DataError


def load_messages(
    path: Path, max_messages: int = 0, *, seed: int = 42, entities: bool = False
) -> List[LabelledMessage]:
    """The messages of a file or folder that have a text and an intent.

    Args:
        path: NLU data in any of Rasa's formats.
        max_messages: size of a random sample; 0 for all messages.
        seed: random seed of the sample.
        entities: whether entities are kept with the messages, so that they are scored too.

    Raises:
        CompressedBertError: if there is no such file.
        DataError: if it cannot be read, or holds no message with an intent.
    """
    examples = load_training_data(path).intent_examples
    messages = [_labelled(example, entities=entities) for example in examples if (example.get("text") or "").strip()]
    if not messages:
        raise DataError(f"'{path}' holds no message with an intent.")
    if max_messages and max_messages < len(messages):
        chosen = np.random.default_rng(seed).permutation(len(messages))[:max_messages]
        messages = [messages[index] for index in sorted(chosen)]
    return messages


def load_training_data(path: Path) -> Any:
    """A file or folder of NLU data as Rasa's `TrainingData`.

    Raises:
        CompressedBertError: if there is no such file.
        DataError: if it cannot be read.
    """
    from rasa.shared.nlu.training_data.loading import load_data

    if not path.exists():
        raise CompressedBertError(f"There is no file or folder '{path}' with NLU data.")
    try:
        data = load_data(str(path))
    except Exception as error:  # Rasa's readers raise any kind of exception for a malformed file
        raise DataError(f"'{path}' cannot be read as Rasa's NLU data: {_reason(error)}") from error
    if not all(isinstance(example.get("text") or "", str) for example in data.training_examples):
        raise DataError(f"'{path}' has messages whose text is not a string.")
    return data


def _reason(error: Exception) -> str:
    """The type and the message of an error; the type alone where formatting the message fails."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def _labelled(example: Any, *, entities: bool) -> LabelledMessage:
    text = example.get("text")
    spans = [_span(entity, text) for entity in example.get("entities", ()) if entities]
    return LabelledMessage(text, example.get("intent"), tuple(spans), example.get("intent_response_key"))


def _span(entity: Any, text: str) -> EntitySpan:
    """An annotation as it is learnt; one whose start or end is not a whole number is kept, and no model finds it."""
    start, end, kind, role, group = map(entity.get, EntitySpan._fields)
    first, last, label = position(start), position(end), (kind, role or None, group or None)
    if first is None or last is None:
        return EntitySpan(start, end, *label)
    return without_blanks(EntitySpan(first, last, *label), text)
