"""Files of questions that sub-commands evaluate on."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np

from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.data.squad import read_questions

_SEED = 42


def load_questions(path: Path, most: int = 0) -> List[Question]:
    """The questions of a file in the format of SQuAD 2.0.

    Args:
        path: path of the file.
        most: size of a random sample; 0 for all.

    Raises:
        DataError: if it cannot be read, or has no question that can be used.
    """
    questions = read_questions([str(path)], option="--questions")
    if most and most < len(questions):
        chosen = np.random.default_rng(_SEED).permutation(len(questions))[:most]
        questions = [questions[place] for place in sorted(chosen)]
    return questions
