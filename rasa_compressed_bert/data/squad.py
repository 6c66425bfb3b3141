"""Reading questions from files in the format of SQuAD 2.0 (Rajpurkar et al. 2018, arXiv 1806.03822).

{"data": [{"title": "Warsaw", "paragraphs": [{"context": "Warsaw is the capital of Poland.", "qas": [
    {"id": "1", "question": "What is the capital of Poland?", "is_impossible": false,
     "answers": [{"text": "Warsaw", "answer_start": 0}]}]}]}]}
"""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.entities import position
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.data.warnings import listed, quoted
from rasa_compressed_bert.errors import DataError

logger = logging.getLogger(__name__)

_FORMAT = (
    'It must be in the format of SQuAD 2.0: {"data": [{"title": ..., "paragraphs": [{"context": ..., "qas": '
    '[{"id": ..., "question": ..., "answers": [{"text": ..., "answer_start": ...}]}]}]}]}'
)
_NO_PASSAGE, _NO_TEXT, _NO_ANSWER = "without a passage", "without text", "without an answer or is_impossible: true"
_MISPLACED, _DUPLICATE = "without an answer at its answer_start", "with the id of an earlier question"
_NO_LIST = "whose answers are not a list"


def read_questions(paths: Sequence[str], *, option: str) -> List[Question]:
    """The questions of some files, in order.

    Questions that cannot be used are left out, with one warning per file. An answer is left out if the passage has
    another text at its position, and a question if none of its answers is left. Questions need no id, but no two may
    have the same.

    Args:
        paths: paths of files in UTF-8.
        option: name of the option with the paths, for errors.

    Raises:
        DataError: if a file cannot be read, is in another format, or has no question that can be used.
    """
    questions: List[Question] = []
    ids: Set[str] = set()
    for path in paths:
        faults: Dict[str, List[str]] = defaultdict(list)  # ids of questions, by fault
        misplaced, found = 0, 0
        for title, context, entry in _entries(path, option=option):
            question, wrong, fault = _read_question(title, context, entry)
            misplaced += wrong
            if fault is None and question.id and question.id in ids:
                fault = _DUPLICATE
            if fault is not None:
                faults[fault].append(quoted(question.id or question.text))
                continue
            ids.add(question.id)
            questions.append(question)
            found += 1
        _warn(path, faults, misplaced)
        if not found:
            raise DataError(f"{option}: '{path}' has no question that can be used. {_FORMAT}")
    return questions


def _entries(path: str, *, option: str) -> List[Tuple[str, Any, Mapping[str, Any]]]:
    """Title, passage and entry of each question of a file."""
    try:
        content = json.loads(Path(os.path.expanduser(path)).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{option}: '{path}' cannot be read: {error}") from error
    try:
        return [
            (str(document.get("title", "")), paragraph.get("context"), dict(entry))
            for document in content["data"]
            for paragraph in document["paragraphs"]
            for entry in paragraph["qas"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{option}: '{path}' has no questions. {_FORMAT}") from error


def _read_question(title: str, context: Any, entry: Mapping[str, Any]) -> Tuple[Question, int, Optional[str]]:
    """A question, the number of its answers that are left out, and why it cannot be used; None if it can."""
    text, passage = entry.get("question"), context if isinstance(context, str) else ""
    given = entry.get("id")
    question = Question("" if given is None else str(given), text if isinstance(text, str) else "", passage, (), title)
    if not passage.strip():
        return question, 0, _NO_PASSAGE
    if not question.text.strip():
        return question, 0, _NO_TEXT
    if entry.get("is_impossible") is True:
        return question, 0, None
    annotated = entry.get("answers") or []
    if not isinstance(annotated, list):
        return question, 0, _NO_LIST
    if not annotated:
        return question, 0, None if "is_impossible" not in entry and "answers" in entry else _NO_ANSWER
    spans = [_span(passage, answer) for answer in annotated]
    answers = tuple(span for span in spans if span is not None)
    question = Question(question.id, question.text, passage, answers, title)
    return question, len(spans) - len(answers), None if answers else _MISPLACED


def _span(passage: str, answer: Any) -> Optional[Tuple[int, int]]:
    """Start and end of an answer in its passage; None if it is not at its position."""
    text, start = (answer.get(name) if isinstance(answer, Mapping) else None for name in ("text", "answer_start"))
    start = position(start)
    if not isinstance(text, str) or start is None or start < 0 or not text.strip():
        return None
    return (start, start + len(text)) if passage.startswith(text, start) else None


def _warn(path: str, faults: Mapping[str, Sequence[str]], misplaced: int) -> None:
    """Warns of answers and questions of a file that are left out."""
    if misplaced:
        wrong = counted(misplaced, "answer is", "answers are")
        logger.warning(f"'{path}': {wrong} left out, as the passage has another text at answer_start.")
    if faults:
        total = sum(map(len, faults.values()))
        reasons = "; ".join(f"{len(ids)} {fault} ({listed(ids)})" for fault, ids in faults.items())
        logger.warning(
            f"'{path}': {counted(total, 'question is', 'questions are')} left out: {reasons}. Correct the file."
        )
