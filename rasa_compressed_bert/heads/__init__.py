"""The heads of a model, one module per kind of label."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple, Type

from rasa_compressed_bert.artifact.artifact import (
    ANSWER_EXTRACTOR,
    ENTITY_EXTRACTOR,
    INTENT_CLASSIFIER,
    JOINT_CLASSIFIER,
)
from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.heads.answer import AnswerHead
from rasa_compressed_bert.heads.entity import EntityHead
from rasa_compressed_bert.heads.intent import IntentHead
from rasa_compressed_bert.heads.response import ResponseHead
from rasa_compressed_bert.models.head_layer import LAYERS
from rasa_compressed_bert.models.task_model import FEATURES
from rasa_compressed_bert.training.head import Head

__all__ = [
    "AnswerHead",
    "EntityHead",
    "Head",
    "IntentHead",
    "ResponseHead",
    "continued_heads",
    "heads_of",
    "intents_of",
    "kind_of",
    "learnt_heads",
    "register_head",
    "require_registered",
    "require_same_labels",
]

_HEADS: List[Type[Head]] = [IntentHead, EntityHead, ResponseHead, AnswerHead]


def register_head(head: Type[Head]) -> None:
    """Adds a head, or replaces the one of the same name.

    Args:
        head: the class; its layer becomes an output of the serving graph, after the existing ones.
    """
    _HEADS[:] = [*(other for other in _HEADS if other.name != head.name), head]
    LAYERS[:] = [*(other for other in LAYERS if other.name != head.layer.name), head.layer]


def learnt_heads(
    examples: Sequence[Example], config: BertOptions, tokenizer: str, *, before: Sequence[Head] = ()
) -> Tuple[Head, ...]:
    """The heads that the options enable and that the examples have labels for.

    Args:
        examples: the labelled messages.
        config: all options.
        tokenizer: the `tokenizers` library's JSON.
        before: heads of the previous training, if it is continued.

    Raises:
        DataError: if the examples have no labels to learn.
    """
    asked = [head for head in _HEADS if head.is_asked_for(config)]
    earlier = {head.name: head for head in before}
    found = [head.learnt_from(examples, config, tokenizer, before=earlier.get(head.name)) for head in asked]
    heads = tuple(head for head in found if head is not None)
    if not heads:
        wanted = " or ".join(head.label_phrase for head in asked)
        raise DataError(f"There are no examples with {wanted} to train on.")
    if config.pooling == "cls" and all(head.layer.per_wordpiece for head in heads):
        raise DataError("pooling: cls is for intents, and the training data has none. Leave pooling out.")
    return heads


def heads_of(manifest: Mapping[str, Any]) -> Tuple[Head, ...]:
    """The heads of a trained model."""
    found = [head.from_manifest(manifest) for head in _HEADS]
    return tuple(head for head in found if head is not None)


def require_registered(manifest: Mapping[str, Any]) -> None:
    """Checks that all heads of a model are registered, as continued training would drop others.

    Raises:
        DataError: with the outputs of heads that are not registered.
    """
    known = {FEATURES, *(head.layer.output for head in heads_of(manifest))}
    others = [name for name in manifest.get("outputs", ()) if name not in known]
    if others:
        raise DataError(
            f"The model has outputs of heads that are not registered: {', '.join(others)}. Import the module that "
            "registers them first, or train without --finetune."
        )


def continued_heads(before: Sequence[Head], now: Sequence[Head]) -> Tuple[Head, ...]:
    """The heads of a continued training.

    Args:
        before: heads of the previous training.
        now: heads for the present examples.

    Raises:
        DataError: if their labels differ.
    """
    old, new = ({head.name: head for head in heads} for heads in (before, now))
    for name in {**old, **new}:
        require_same_labels(*(own[name].label_names if name in own else () for own in (old, new)), what=name)
    return tuple(head.continued(new[head.name]) for head in before)


def require_same_labels(before: Sequence[str], now: Sequence[str], *, what: str = "intents") -> None:
    """Checks that labels are those that a model was trained on.

    Raises:
        DataError: with the new and the missing labels.
    """
    added, removed = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    if added or removed:
        raise DataError(
            f"The {what} are not those that the model was trained on. New: {added or 'none'}; "
            f"removed: {removed or 'none'}. Train without --finetune."
        )


def kind_of(heads: Sequence[Head]) -> str:
    """The kind of an artifact with these heads."""
    names = {head.name for head in heads}
    if AnswerHead.name in names:
        return ANSWER_EXTRACTOR
    if EntityHead.name not in names:
        return INTENT_CLASSIFIER
    return JOINT_CLASSIFIER if IntentHead.name in names else ENTITY_EXTRACTOR


def intents_of(heads: Sequence[Head]) -> Optional[IntentHead]:
    """The intent head, if there is one."""
    return next((head for head in heads if isinstance(head, IntentHead)), None)
