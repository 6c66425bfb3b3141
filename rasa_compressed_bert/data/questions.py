"""Questions on passages, with their answers: what a model that answers from documents is trained and scored on."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Dict, List, Sequence, Set, Tuple

import numpy as np

_WORD = re.compile(r"\w+")
_CANDIDATES = 20  # passages, of which the most similar to the question is taken


@dataclass(frozen=True)
class Question:
    """A question and the passage that it is asked of.

    Attributes:
        id: of the question, unique.
        text: of the question.
        passage: that has the answer, or has none.
        answers: where each annotated answer begins and ends in the passage; empty where the passage has none.
        document: that the passage is a part of.
    """

    id: str
    text: str
    passage: str
    answers: Tuple[Tuple[int, int], ...] = ()
    document: str = ""

    @property
    def answer_texts(self) -> List[str]:
        """The annotated answers as they are written."""
        return [self.passage[start:end] for start, end in self.answers]


def unanswerable_questions(questions: Sequence[Question], count: int, *, seed: int) -> List[Question]:
    """Questions that their passage does not answer: answerable ones with another passage of the same document.

    Of some passages that are drawn at random and have none of the answers, the one is taken that shares the most rare
    words with the question: a passage on something else would be too easy to tell apart.

    Args:
        questions: of which the answerable ones are used, each at most once.
        count: of questions to make; fewer are made where documents have too few passages.
        seed: of the choice.

    Returns:
        Questions without answers, with ids of their own.
    """
    passages: Dict[str, Dict[str, None]] = defaultdict(dict)  # of each document, without duplicates, in their order
    for question in questions:
        passages[question.document][question.passage] = None
    documents = {name: list(own) for name, own in passages.items()}
    words = {passage: _words(passage) for own in documents.values() for passage in own}
    counts = Counter(word for own in words.values() for word in own)
    rarity = {word: math.log(len(words) / number) for word, number in counts.items()}
    rng = np.random.default_rng(seed)
    made: List[Question] = []
    answerable = [question for question in questions if question.answers]
    for place in rng.permutation(len(answerable)):
        if len(made) >= count:
            break
        question = answerable[place]
        own = documents[question.document]
        drawn = [own[index] for index in rng.permutation(len(own))[: _CANDIDATES + 1]]
        answers = [answer.casefold() for answer in question.answer_texts]
        others = [passage for passage in drawn if not any(answer in passage.casefold() for answer in answers)]
        if others:
            asked = _words(question.text)
            nearest = max(
                others[:_CANDIDATES], key=lambda passage: math.fsum(rarity[word] for word in asked & words[passage])
            )
            made.append(replace(question, id=f"{question.id}-unanswerable", passage=nearest, answers=()))
    return made


def _words(text: str) -> Set[str]:
    return set(_WORD.findall(text.casefold()))
