"""Encodes labelled messages for training, and adds synthetic messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Collection, List, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.augmentation.filled_messages import Filled, filled_messages
from rasa_compressed_bert.augmentation.synthetic import synthetic_messages
from rasa_compressed_bert.augmentation.usable_values import (
    annotated_alone_in,
    are_usable,
    of_tables,
    usable_values,
    without_held_out_synonyms,
)
from rasa_compressed_bert.config import AugmentationConfig, BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import KnownValues
from rasa_compressed_bert.data.warnings import warn_of_long_messages
from rasa_compressed_bert.heads import Head
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.tasks.training_run import Messages, TrainingRun
from rasa_compressed_bert.tokenization.pieces import Pieces, PieceTokenizer, SplitPoints, split_points_for
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import EncodedExamples
from rasa_compressed_bert.training.vocabulary import UsedVocabulary


def encode_messages(
    examples: Sequence[Example],
    heads: Sequence[Head],
    state: ModelState,
    config: BertOptions,
    *,
    known: Optional[KnownValues],
) -> Tuple[Tuple[Head, ...], Messages]:
    """The heads, fitted to the wordpieces of the messages, and the encoded messages.

    Args:
        examples: the training messages.
        heads: the heads to train.
        state: the weights that training starts from.
        config: all options.
        known: further values of entities to learn; None learns none, and keeps those that the heads have.
    """
    split_points = _split_points(heads)
    pieces = _tokenized([example.text for example in examples], split_points, state, config)
    warn_of_long_messages([message.truncated for message in pieces], config.max_length)
    heads = tuple(head.fitted(examples, pieces) for head in heads)
    for head in heads:
        head.warn(examples, pieces)
    synthetic = _synthetic(examples, heads, state, config)
    filled: List[Filled] = []
    if known is not None and config.learns_entities:
        values = usable_values(examples, known, seed=config.random_seed)
        filled = filled_messages(examples, values, known, seed=config.random_seed)
        heads = tuple(head.with_known(values, of_tables(values, known), config=config) for head in heads)
    messages = _encoded(examples, pieces, heads, state, config, filled=filled, synthetic=synthetic)
    return heads, replace(messages, known=known)


def without_annotations(run: TrainingRun, held_out: np.ndarray, *, start: Optional[ModelState] = None) -> TrainingRun:
    """The run with its messages encoded as if the annotations of the held-out ones were unknown.

    No word is split where only annotations of held-out messages begin or end. Filled messages that were made from
    held-out ones are left out, and so are those with a synonym that only held-out messages have as an entity. Values of
    lookup tables, also those of filled messages, are those that can be learnt from the other messages.

    Args:
        run: the training run.
        held_out: positions of the held-out messages; their own entities are tagged on the nearest wordpieces.
        start: the weights that training starts from, if their vocabulary is not that of the run.
    """
    hidden, messages, state = set(held_out.tolist()), run.messages, start or run.start
    heads = tuple(
        head.without_annotations(messages.examples, hidden, state.tokenizer, config=run.config) for head in run.heads
    )
    unseen, others = _apart(messages.examples, hidden)
    if messages.known is not None:
        known = without_held_out_synonyms(messages.known, unseen, others)
        values = usable_values(others, known, seed=run.config.random_seed, warns=False)
        listed = of_tables(values, known)
        heads = tuple(head.with_known(values, listed, config=run.config) for head in heads)
    told, usable = annotated_alone_in(unseen, others), are_usable([made.value for made in messages.filled], others)
    kept = [
        place
        for place, made in enumerate(messages.filled)
        if made.source not in hidden and made.synonym not in told and usable[place]
    ]
    filled = [messages.filled[place] for place in kept]
    if heads == run.heads and start is None:
        if len(kept) == len(messages.filled):
            return run
        count = len(messages.examples)
        learnt = messages.learnt[np.array([*range(count), *(count + place for place in kept)])]
        return replace(run, messages=replace(messages, learnt=learnt, filled=filled))
    pieces = _tokenized(messages.texts, _split_points(heads), state, run.config)
    seen = [place for place in range(len(pieces)) if place not in hidden]
    heads = tuple(
        head.fitted([messages.examples[place] for place in seen], [pieces[place] for place in seen]) for head in heads
    )
    blind = _encoded(messages.examples, pieces, heads, state, run.config, filled=filled)
    return replace(run, heads=heads, messages=replace(blind, known=messages.known), start=state)


def _apart(examples: Sequence[Example], hidden: Collection[int]) -> Tuple[List[Example], List[Example]]:
    """Splits messages into those that are hidden and the others."""
    return (
        [example for place, example in enumerate(examples) if place in hidden],
        [example for place, example in enumerate(examples) if place not in hidden],
    )


def some_of(messages: Messages, places: np.ndarray) -> Messages:
    """Selects some of the messages, and all filled ones."""
    filled = np.arange(len(messages.encoded), len(messages.learnt))
    return replace(
        messages,
        examples=[messages.examples[place] for place in places],
        pieces=[messages.pieces[place] for place in places],
        encoded=messages.encoded[places],
        learnt=messages.learnt[np.concatenate([places, filled])],
    )


def _split_points(heads: Sequence[Head]) -> SplitPoints:
    return {word: places for head in heads for word, places in head.split_points.items()}


def _tokenized(texts: Sequence[str], split_points: SplitPoints, state: ModelState, config: BertOptions) -> List[Pieces]:
    tokenizer = PieceTokenizer(state.tokenizer, config.max_length, split_points)
    return [tokenizer.encode(text) for text in texts]


def _encoded(
    examples: Sequence[Example],
    pieces: Sequence[Pieces],
    heads: Sequence[Head],
    state: ModelState,
    config: BertOptions,
    *,
    filled: Sequence[Filled],
    synthetic: Sequence[np.ndarray] = (),
) -> Messages:
    """Encodes messages with their labels, and collects the vocabulary that all of them use.

    Words of filled messages are split where their entities begin and end, as those of annotated messages are.
    """
    made = [message.example for message in filled]
    texts, entities = [example.text for example in made], [example.entities for example in made]
    split_points = split_points_for(texts, entities, state.tokenizer, before=_split_points(heads)) if made else {}
    made_pieces = _tokenized(texts, split_points, state, config) if made else []
    input_ids, others = ([message.input_ids for message in part] for part in (pieces, made_pieces))
    vocabulary = UsedVocabulary.of([*input_ids, *synthetic, *others])
    labels = {head.name: head.encode(examples, pieces) for head in heads}
    encoded = EncodedExamples(vocabulary.renumber(input_ids), labels, [message.continues for message in pieces])
    learnt = encoded.joined(vocabulary.renumber(others))
    added = {head.name: [*labels[head.name], *head.encode(made, made_pieces)] for head in heads if head.learns_filled}
    learnt = replace(learnt, labels={**learnt.labels, **added})
    return Messages(examples, pieces, encoded, learnt, vocabulary, vocabulary.renumber(synthetic), filled)


def _synthetic(
    examples: Sequence[Example], heads: Sequence[Head], state: ModelState, config: BertOptions
) -> List[np.ndarray]:
    """Wordpiece ids of synthetic messages; none if no head learns from them, or without pruning or distillation."""
    count = config.distillation.synthetic_messages
    learnt = any(head.learns_unlabelled for head in heads)
    if not count or not learnt or config.pruning.method == "none" or not config.distillation.enabled:
        return []
    texts, options = [example.text for example in examples], AugmentationConfig(n_iter=count)
    table, seed = state.parameters["embeddings.word"], config.random_seed
    made = synthetic_messages(texts, options, tokenizer=state.tokenizer, table=table, seed=seed)
    encoder = WordpieceTokenizer(state.tokenizer, config.max_length)
    return [encoder.encode(message.text) for message in made]
