"""Questions about passages, with their answers: the data that an answer extractor is trained and scored on."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Dict, List, Sequence, Set, Tuple

import numpy as np

_WORD = re.compile(r"\w+")
_CANDIDATES = 20  # passages to choose the one most similar to a question from


@dataclass(frozen=True)
class Question:
    """A question about a passage.

    Attributes:
        id: unique id of the question.
        text: text of the question.
        passage: text of the passage, which may or may not contain the answer.
        answers: start and end of each annotated answer in the passage; empty if the passage has none.
        document: name of the document that the passage is a part of.
    """

    id: str
    text: str
    passage: str
    answers: Tuple[Tuple[int, int], ...] = ()
    document: str = ""

    @property
    def answer_texts(self) -> List[str]:
        """The texts of the annotated answers."""
        return [self.passage[start:end] for start, end in self.answers]


def unanswerable_questions(questions: Sequence[Question], count: int, *, seed: int) -> List[Question]:
    """Unanswerable questions: answerable ones, each paired with another passage of the same document.

    Of up to 20 random passages that contain none of the answers, the one that shares the most rare words with the
    question is chosen: a passage on another subject would be too easy to distinguish.

    Args:
        questions: the questions, of which the answerable ones are used, each at most once.
        count: number of questions to generate; there are fewer if documents have too few passages.
        seed: random seed.

    Returns:
        Questions without answers, with new ids.
    """
    passages: Dict[str, Dict[str, None]] = defaultdict(dict)  # of each document, in order and without duplicates
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
