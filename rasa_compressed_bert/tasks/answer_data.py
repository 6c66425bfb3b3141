"""The training data of an answer extractor: splits questions, adds unanswerable ones and encodes them as windows."""

from __future__ import annotations

import logging
from typing import Dict, List, NamedTuple, Sequence, Set

import numpy as np

from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.example import digest_place, evenly_spaced
from rasa_compressed_bert.data.questions import Question, unanswerable_questions, with_single_blanks
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.data.warnings import quoted
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.heads import AnswerHead
from rasa_compressed_bert.heads.answer import window_labels
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.tasks.training_run import Messages
from rasa_compressed_bert.tokenization.pieces import Pieces
from rasa_compressed_bert.tokenization.windows import WindowTokenizer
from rasa_compressed_bert.training.batches import EncodedExamples
from rasa_compressed_bert.training.calibration import MIN_EXAMPLES
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

logger = logging.getLogger(__name__)
_SCORED_WINDOWS = 2000  # on which models are scored and calibrated
_FEWEST = 10  # passages; with fewer, none is held out


class Questions(NamedTuple):
    """Training questions, and held-out questions on other passages."""

    learnt: List[Question]
    held_out: List[Question]


def questions_for(config: BertAnswerExtractorConfig, *, continued: bool = False) -> Questions:
    """Reads the questions of the option `training_data` and splits them, see `split_questions`.

    Raises:
        DataError: if a file cannot be read, or if no question is left to learn.
    """
    questions = read_questions(config.training_data or (), option="training_data")
    return split_questions(questions, config, continued=continued)


def split_questions(
    questions: Sequence[Question], config: BertAnswerExtractorConfig, *, continued: bool = False
) -> Questions:
    """Holds out the questions on the share `validation_split` of the passages, and adds unanswerable questions.

    Passages that differ only in whitespace count as one.

    None are added to held-out questions if 20 of them are unanswerable already: those that people wrote are harder to
    tell from answerable ones, and so are those of users.

    Args:
        questions: all questions.
        config: all options.
        continued: whether a model is trained further, which held out passages with the same options before.

    Raises:
        DataError: if no question with an answer is left to learn.
    """
    forms = {question.passage: with_single_blanks(question.passage) for question in questions}
    passages = list(dict.fromkeys(forms.values()))
    held_out = _held_out(passages, config.validation_split, seed=config.random_seed, continued=continued)
    is_out = [forms[question.passage] in held_out for question in questions]
    parts = [[one for one, out in zip(questions, is_out) if out == wanted] for wanted in (False, True)]
    if not any(question.answers for question in parts[0]):
        raise DataError("training_data: there is no question with an answer to learn.")
    learnt, others = parts
    have_enough = sum(not question.answers for question in others) >= MIN_EXAMPLES
    learnt = _with_unanswerable(learnt, config, warns=True)
    return Questions(learnt, others if have_enough else _with_unanswerable(others, config))


def _held_out(passages: Sequence[str], share: float, *, seed: int, continued: bool) -> Set[str]:
    """The passages whose digest is small; at least one in a first training.

    Whether a passage is held out depends on itself alone, so that a training that is continued with other questions
    holds out none that was learnt before.
    """
    if not share or len(passages) < _FEWEST:
        return set()
    places = {passage: digest_place(passage, seed=seed) for passage in passages}
    small = {passage for passage, place in places.items() if place < share}
    return small if small or continued else {min(passages, key=places.__getitem__)}


def _with_unanswerable(
    questions: List[Question], config: BertAnswerExtractorConfig, *, warns: bool = False
) -> List[Question]:
    """The questions with as many unanswerable ones as the options ask for, or as can be made."""
    count = round(sum(bool(question.answers) for question in questions) * config.unanswerable_questions)
    made = unanswerable_questions(questions, count, seed=config.random_seed)
    if warns and len(made) < count:
        logger.warning(
            f"unanswerable_questions: only {len(made)} of {count} can be generated, as the other questions are in "
            "documents without a second passage that lacks their answers. Give passages on one subject the same title, "
            "or add questions without an answer to training_data."
        )
    return [*questions, *made]


def encode_questions(
    questions: Sequence[Question], head: AnswerHead, state: ModelState, *, max_length: int
) -> Messages:
    """Encodes questions as windows over their passages, with labels.

    Args:
        questions: questions with and without answers; of several answers, the first one is learnt.
        head: the answer head, which sets the stride of windows.
        state: the weights that training starts from.
        max_length: the number of wordpieces of a window.

    Raises:
        DataError: if there is no window.
    """
    tokenizer = WindowTokenizer(state.tokenizer, max_length, stride=head.stride)
    passages: Dict[str, Pieces] = {}
    input_ids: List[np.ndarray] = []
    labels: List[np.ndarray] = []
    lost: List[str] = []
    for question in questions:
        if question.passage not in passages:
            passages[question.passage] = tokenizer.encode_passage(question.passage)
        windows = tokenizer.windows(tokenizer.encode_question(question.text), passages[question.passage])
        answer = question.answers[0] if question.answers else None
        if not windows or (answer and all(window.place_of(*answer) is None for window in windows)):
            lost.append(quoted(question.text))
            continue
        input_ids += [window.input_ids for window in windows]
        labels += [window_labels(window, answer) for window in windows]
    if lost:
        logger.warning(
            f"{counted(len(lost), 'question is', 'questions are')} not learnt, as no window of {max_length} wordpieces "
            f"contains the whole answer: {'; '.join(lost[:3])}. Raise max_length if there are many."
        )
    if not input_ids:
        raise DataError("training_data: no question is left to learn: none has a window with its answer.")
    first = 1 if state.shape.separator is None else state.shape.separator + 1
    vocabulary = UsedVocabulary.of(input_ids, first=first)
    learnt = EncodedExamples(vocabulary.renumber(input_ids), {head.name: labels})
    return Messages([], [], learnt[evenly_spaced(len(learnt), _SCORED_WINDOWS)], learnt, vocabulary)
