"""Exact match and F1 of answers, as in SQuAD 2.0 (Rajpurkar et al. 2018, arXiv 1806.03822)."""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import Dict, List, Sequence

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
NO_ANSWER = ""
"""The answer to a question that the passage does not answer."""


def normalized_answer(text: str) -> str:
    """An answer in lower case, without ASCII punctuation and English articles, with single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(expected: Sequence[str], predicted: str) -> float:
    """1 if the normalized answer is equal to one of the annotated ones, otherwise 0.

    Args:
        expected: the annotated answers; empty for an unanswerable question.
        predicted: the predicted answer; `NO_ANSWER` for none.
    """
    return float(normalized_answer(predicted) in map(normalized_answer, _gold(expected)))


def answer_f1(expected: Sequence[str], predicted: str) -> float:
    """The largest word-level F1 of an answer and any annotated one, `2 n / (words + words)`, as a share.

    `n` is the number of words in common, counted with multiplicity. If one of the two has no words, F1 is 1 if neither
    has any, otherwise 0.

    Args:
        expected: the annotated answers; empty for an unanswerable question.
        predicted: the predicted answer; `NO_ANSWER` for none.
    """
    return max(_f1(normalized_answer(gold).split(), normalized_answer(predicted).split()) for gold in _gold(expected))


def answer_scores(expected: Sequence[Sequence[str]], predicted: Sequence[str]) -> Dict[str, float]:
    """Exact match and F1 of all questions, of the answerable and of the unanswerable ones, as shares.

    Args:
        expected: the annotated answers to each question; empty for an unanswerable one.
        predicted: the predicted answer to each question; `NO_ANSWER` for none.

    Returns:
        `exact` and `f1`, and the same with the prefixes `answerable_` and `unanswerable_` if there are such questions.
    """
    answerable = np.array([bool(answers) for answers in expected], bool)
    exact = np.array([exact_match(*pair) for pair in zip(expected, predicted)])
    f1 = np.array([answer_f1(*pair) for pair in zip(expected, predicted)])
    scores: Dict[str, float] = {}
    groups = {"": np.ones(len(exact), bool), "answerable_": answerable, "unanswerable_": ~answerable}
    for prefix, places in groups.items():
        if places.any():
            scores[f"{prefix}exact"] = float(exact[places].mean())
            scores[f"{prefix}f1"] = float(f1[places].mean())
    return scores


def best_no_answer_threshold(margins: np.ndarray, answered: np.ndarray, unanswered: np.ndarray) -> float:
    """The threshold of margins with the highest sum of scores; questions with a margin below it are not answered.

    It lies midway between two margins. Of several equally good thresholds, it is the one nearest to 0.

    Args:
        margins: score of each question's best answer minus that of no answer, `(n,)`.
        answered: the score of each question if it is answered, `(n,)`.
        unanswered: the score of each question if it is not answered, `(n,)`.
    """
    order = np.argsort(margins, kind="stable")
    gains = np.concatenate([[0.0], np.cumsum((unanswered - answered)[order])])  # from leaving the first k unanswered
    ranked = margins[order]
    distinct = np.flatnonzero(np.concatenate([[True], ranked[1:] > ranked[:-1], [True]]) if len(ranked) else [True])
    best = distinct[gains[distinct] >= gains[distinct].max() - 1e-9]
    bounds = np.concatenate([[-np.inf], ranked, [np.inf]])
    thresholds = [_between(float(bounds[place]), float(bounds[place + 1])) for place in best]
    return min(thresholds, key=abs)


def _between(low: float, high: float) -> float:
    """The midpoint of `low` and `high`; if one of them is infinite, a number between them that is near to 0."""
    if low == -np.inf:
        return min(0.0, high - 1.0) if high < np.inf else 0.0
    return max(0.0, low + 1.0) if high == np.inf else (low + high) / 2


def _gold(expected: Sequence[str]) -> List[str]:
    """The annotated answers that have words; `NO_ANSWER` if there are none."""
    return [answer for answer in expected if normalized_answer(answer)] or [NO_ANSWER]


def _f1(expected: Sequence[str], predicted: Sequence[str]) -> float:
    if not expected or not predicted:
        return float(expected == predicted)
    same = sum((Counter(expected) & Counter(predicted)).values())
    return 2 * same / (len(expected) + len(predicted))
