"""Warnings about training data; each has the number of messages or annotations concerned, and the first ones."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example, first_of_same, normal_form

logger = logging.getLogger(__name__)
_LISTED, _CHARACTERS = 3, 40
_MULTILINGUAL = "multilingual-e5-small"


class Moved(NamedTuple):
    """An annotation that was extended or shortened to whole words."""

    text: str
    before: EntitySpan
    after: EntitySpan


def other_weights(option: str, *, present: Optional[str]) -> str:
    """The advice to use other weights for a language that the present ones do not support.

    Args:
        option: name of the option that sets the weights.
        present: its value.
    """
    shipped = "" if present == _MULTILINGUAL else f"{_MULTILINGUAL}, or to "
    return f"set {option} to {shipped}a BERT for that language: a local folder, or a name on the Hugging Face hub"


def warn_of_contradictions(examples: Sequence[Example]) -> None:
    """Warn of messages that have several intents or responses: no classifier can predict all of them."""
    intents: Dict[int, Set[str]] = defaultdict(set)
    for example, place in zip(examples, first_of_same([example.text for example in examples]).tolist()):
        if example.full_intent is not None:
            intents[place].add(example.full_intent)
    found = [
        f"{quoted(examples[place].text)} ({', '.join(sorted(own))})" for place, own in intents.items() if len(own) > 1
    ]
    if found:
        logger.warning(
            f"{counted(len(found), 'message has', 'messages have')} several intents, of which at most one can be "
            f"predicted: {_first(found)}. Keep each message under one intent."
        )


def warn_of_vocabulary(
    examples: Sequence[Example],
    wordpieces: Sequence[Sequence[int]],
    *,
    unknown: Optional[int],
    option: str,
    weights: Optional[str] = None,
) -> None:
    """Warn of messages that the vocabulary cannot encode, or cannot distinguish from those of other intents.

    Each response of a retrieval intent counts as a separate intent.

    Args:
        examples: messages, with or without an intent.
        wordpieces: the ids of their wordpieces.
        unknown: id of the unknown wordpiece; None if the vocabulary can encode any text.
        option: name of the option that sets the weights.
        weights: its value.
    """
    unwritten = [quoted(one.text) for one, ids in zip(examples, wordpieces) if unknown in ids]
    same: Dict[Tuple[int, ...], List[Example]] = defaultdict(list)
    for example, ids in zip(examples, wordpieces):
        if example.full_intent is not None:
            same[tuple(ids)].append(example)
    groups = [group for group in same.values() if _is_confused(group)]
    problems = []
    if unwritten:
        problems.append(f"{counted(len(unwritten), 'has', 'have')} words that it does not know: {_first(unwritten)}")
    if groups:
        confused = [f"{quoted(one.text)} ({one.full_intent})" for group in groups for one in _distinct(group)]
        problems.append(
            f"{sum(map(len, groups))} have the same wordpieces as a message of another intent, so that BERT cannot "
            f"distinguish them: {_first(confused, 2 * _LISTED)}"
        )
    if problems:
        logger.warning(
            "The vocabulary of the weights does not fit all of the "
            f"{counted(len(examples), 'message', 'messages')}: {'; '.join(problems)}. "
            f"If they are in a language that the weights do not know, {other_weights(option, present=weights)}."
        )


def warn_of_long_messages(truncated: Sequence[bool], max_length: int) -> None:
    """Warn of messages that are truncated.

    Args:
        truncated: whether each message is truncated.
        max_length: value of the option of that name.
    """
    if any(truncated):
        logger.warning(
            f"{sum(truncated)} of {counted(len(truncated), 'message', 'messages')} "
            f"{'is' if sum(truncated) == 1 else 'are'} longer than max_length: {max_length} wordpieces; the model does "
            "not see the rest."
        )


def warn_of_faulty_annotations(problems: Sequence[str], *, component: str) -> None:
    """Warn of annotations that are left out because they cannot be learnt."""
    if problems:
        logger.warning(
            f"{component} leaves out {counted(len(problems), 'annotation', 'annotations')} that cannot be learnt: "
            f"{_first(problems)}. Correct the training data."
        )


def warn_of_annotations_for_others(counts: Mapping[str, int], *, component: str) -> None:
    """Warn of annotations for extractors that learn nothing: they are not in the pipeline, or not trainable.

    Args:
        counts: numbers of annotations, by the extractor that they name.
        component: name of the component that does not learn them.
    """
    if counts:
        named = ", ".join(f"{count} for {extractor}" for extractor, count in sorted(counts.items()))
        annotations = counted(sum(counts.values()), "annotation that names", "annotations that name")
        logger.warning(
            f"{component} does not learn {annotations} an extractor that is not trained in this pipeline: {named}. "
            f'Remove "extractor" from these annotations, or name {component} there.'
        )


def warn_of_lost_entities(lost: Sequence[Tuple[str, str]]) -> None:
    """Warn of annotated entities that have no wordpieces.

    Args:
        lost: text and type of each entity.
    """
    if lost:
        found = [f"{quoted(text)} ({kind})" for text, kind in lost]
        logger.warning(
            f"{counted(len(lost), 'annotated entity is', 'annotated entities are')} not learnt, as the text is "
            f"truncated to max_length or has no wordpieces there: {_first(found)}."
        )


def warn_of_moved_annotations(moved: Sequence[Moved], count: int) -> None:
    """Warn of annotations that begin or end inside a word and were moved to the bounds of whole words.

    Args:
        moved: those annotations.
        count: number of all annotations.
    """
    if moved:
        found = [
            f"{quoted(text[before.start : before.end])} as {quoted(text[after.start : after.end])} ({before.entity})"
            for text, before, after in moved
        ]
        logger.warning(
            f"{len(moved)} of {counted(count, 'annotation', 'annotations')} "
            f"{'begins or ends' if len(moved) == 1 else 'begin or end'} inside a word; the whole words are learnt: "
            f"{_first(found)}. Correct the training data. (Parts of words are learnt if more than one annotation of a "
            "type, and at least a tenth of them, begin or end inside a word.)"
        )


def _is_confused(group: Sequence[Example]) -> bool:
    """Whether messages with the same wordpieces differ in intent and text; there is another warning for equal texts."""
    return len({one.full_intent for one in group}) > 1 and len({normal_form(one.text) for one in group}) > 1


def _distinct(group: Sequence[Example]) -> List[Example]:
    """The first message of each text and intent."""
    found: Dict[Tuple[str, Optional[str]], Example] = {}
    for example in group:
        found.setdefault((normal_form(example.text), example.intent), example)
    return list(found.values())


def quoted(text: str) -> str:
    """The beginning of a message in quotes, with escapes for non-printable characters such as zero-width spaces."""
    shown = (character if character.isprintable() else ascii(character)[1:-1] for character in text[:_CHARACTERS])
    return f"'{''.join(shown)}'"


def listed(names: Sequence[str]) -> str:
    """The first of some names, with "..." if there are more."""
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")


def _first(items: Sequence[str], count: int = _LISTED) -> str:
    return "; ".join(items[:count]) + (" ..." if len(items) > count else "")
