"""Questions about passages, with their answers: the data that an answer extractor is trained and scored on."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Set, Tuple

import numpy as np

_WORD = re.compile(r"\w+")
_CANDIDATES = 1000  # passages to choose the one most similar to a question from


@dataclass(frozen=True)
class Question:
    """A question about a passage.

    Attributes:
        id: unique id of the question; may be empty.
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


def with_single_blanks(passage: str) -> str:
    """A passage with single spaces: equal for passages that a model reads in the same way."""
    return " ".join(passage.split())


def unanswerable_questions(questions: Sequence[Question], count: int, *, seed: int) -> List[Question]:
    """Unanswerable questions: answerable ones, each paired with another passage of the same document.

    They are made for the documents with the smallest share of unanswerable questions first, until all have the same:
    otherwise a model learns in which documents questions are unanswerable, and that says nothing about other documents.

    Of up to 1,000 random passages that contain none of the answers, the one that shares the most rare words with the
    question is chosen: a passage on another subject would be too easy to distinguish.

    Args:
        questions: the questions, of which the answerable ones are used, each at most once.
        count: number of questions to generate; there are fewer if documents have too few passages.
        seed: random seed.

    Returns:
        Questions without answers, with new ids.
    """
    rng = np.random.default_rng(seed)
    others = _OtherPassages(questions, rng)
    answerable = [question for question in questions if question.answers]
    left: Dict[str, List[Question]] = defaultdict(list)  # of each document, in random order
    for place in rng.permutation(len(answerable)):
        left[answerable[place].document].append(answerable[place])
    size = Counter(question.document for question in questions)
    unanswerable = Counter(question.document for question in questions if not question.answers)
    shares = [(unanswerable[name] / size[name], name) for name in left]
    heapq.heapify(shares)
    made: List[Question] = []
    while shares and len(made) < count:
        _, name = heapq.heappop(shares)
        question = left[name].pop()
        passage = others.nearest(question)
        if passage is not None:
            made.append(replace(question, id=f"{question.id}-unanswerable", passage=passage, answers=()))
            size[name] += 1
            unanswerable[name] += 1
        if left[name]:
            heapq.heappush(shares, (unanswerable[name] / size[name], name))
    return made


class _OtherPassages:
    """Finds passages of the same document that are similar to a question and do not contain its answers."""

    def __init__(self, questions: Sequence[Question], rng: np.random.Generator):
        passages: Dict[str, Dict[str, None]] = defaultdict(dict)  # of each document, in order and without duplicates
        for question in questions:
            passages[question.document][question.passage] = None
        self._documents = {name: list(own) for name, own in passages.items()}
        self._forms = {passage: _form(passage) for own in self._documents.values() for passage in own}
        self._words = {passage: _words(form) for passage, form in self._forms.items()}
        counts = Counter(word for own in self._words.values() for word in own)
        self._rarity = {word: math.log(len(self._words) / number) for word, number in counts.items()}
        self._rng = rng

    def nearest(self, question: Question) -> Optional[str]:
        """The passage that shares the most rare words with a question, of up to 1,000 random ones; None without any."""
        own = self._documents[question.document]
        drawn = [own[index] for index in self._rng.permutation(len(own))[:_CANDIDATES]]
        answers = [_form(answer) for answer in question.answer_texts]
        asked = _words(_form(question.text))

        def shared(passage: str) -> float:
            return math.fsum(self._rarity[word] for word in asked & self._words[passage])

        nearest_first = sorted(drawn, key=shared, reverse=True)
        return next((one for one in nearest_first if not any(text in self._forms[one] for text in answers)), None)


def _form(text: str) -> str:
    """A text in lower case with single spaces, since a passage may have a line break within an answer."""
    return with_single_blanks(text.casefold())


def _words(form: str) -> Set[str]:
    return set(_WORD.findall(form))
