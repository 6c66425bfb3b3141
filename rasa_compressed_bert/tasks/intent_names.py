"""Names of intents as further training messages: to five messages of an intent, `book_flight` adds a sixth.

Meaningless names (`faq_17`) would do harm, so names are learnt only if they help: each half of the messages is
classified by the nearest mean features of the intents in the other half, with names and without. CLINC150 with five
messages of an intent: 86.3 % without names, 88.5 % with them (60 % pruned, one seed, 1,500 test messages).
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import List, Sequence

import numpy as np
import regex

from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.example import Example, class_indices, normal_form
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import FEATURES, TaskModel
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.loop import predict_inputs
from rasa_compressed_bert.training.view_fitting import stratified_folds
from rasa_compressed_bert.training.voting import clear_gain

logger = logging.getLogger(__name__)
_FEW = 20  # messages of an intent, on average: with more of them a name adds nothing
_LETTERS = r"\p{L}[\p{L}\p{M}\u200c\u200d]*"  # with the vowels of Indic and Thai words, which are marks, and joiners
_WORDS = regex.compile(rf"{_LETTERS}(?:'{_LETTERS})?")
_CASE = regex.compile(r"(?<=\p{Ll})(?=\p{Lu})")


def name_examples(labels: Sequence[str], texts: Sequence[str]) -> List[Example]:
    """One example for each intent whose name has words, unless these equal a message or another name.

    Args:
        labels: the intents; the words of `faq/askOpeningHours` are 'faq ask Opening Hours'.
        texts: all messages.
    """
    names = [" ".join(_WORDS.findall(_CASE.sub(" ", label))) for label in labels]
    taken = Counter([*{normal_form(text) for text in texts}, *map(normal_form, names)])
    return [
        Example(name, label, annotated=False)
        for name, label in zip(names, labels)
        if name and taken[normal_form(name)] == 1
    ]


def helpful_names(examples: Sequence[Example], labels: Sequence[str], state: ModelState, *, seed: int) -> List[Example]:
    """The names of the intents as examples, see `name_examples`; none unless they help to tell messages apart.

    Args:
        examples: the labelled messages.
        labels: the intents.
        state: the pretrained encoder.
        seed: for the split into halves.
    """
    messages = [example for example in examples if example.intent is not None]
    names = name_examples(labels, [example.text for example in examples])
    if len(labels) < 2 or not names or len(messages) > _FEW * len(labels):
        return []
    encoder = WordpieceTokenizer(state.tokenizer, state.shape.max_position_embeddings)
    model = TaskModel(state.shape, state.parameters)
    features = predict_inputs(model, FEATURES, [encoder.encode(example.text) for example in [*messages, *names]])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    classes = class_indices([*messages, *names], labels)
    without_names = np.arange(len(messages) + len(names)) < len(messages)
    halves = stratified_folds(classes[without_names], 2, seed=seed)
    helpful = clear_gain(
        _right(features, classes, halves, np.ones_like(without_names)),
        _right(features, classes, halves, without_names),
    )
    if not helpful:
        return []
    learnt = counted(len(names), "name of an intent is", "names of intents are")
    logger.info(f"{learnt} learnt as messages, which helps to distinguish the intents.")
    return names


def _right(features: np.ndarray, classes: np.ndarray, halves: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Whether the nearest mean, over the `used` examples outside of a message's half, is its own intent's.  # (n,)"""
    right = np.zeros(len(halves), bool)
    for half in range(2):
        known = used.copy()
        known[: len(halves)] &= halves != half
        means = np.zeros((classes.max() + 1, features.shape[1]), np.float32)
        np.add.at(means, classes[known], features[known])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        asked = np.flatnonzero(halves == half)
        right[asked] = (features[asked] @ means.T).argmax(axis=1) == classes[asked]
    return right
