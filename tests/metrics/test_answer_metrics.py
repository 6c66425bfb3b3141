import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.metrics.answers import (
    answer_f1,
    answer_scores,
    best_no_answer_threshold,
    exact_match,
    normalized_answer,
)

TEXTS = st.text(st.sampled_from("aAntheTHE .,'-’é\u00a0\t1🌍"), max_size=20)


@pytest.mark.parametrize(
    "text, normalized",
    [
        ("The  Normans", "normans"),
        ("an apple, a day", "apple day"),
        ("theatre", "theatre"),
        ("U.S.A.", "usa"),
        ("the-end", "theend"),  # punctuation is removed first
        ("l’été", "l’été"),  # ASCII punctuation only
        ("$3.5\u00a0million\n", "35 million"),
        ("A", ""),
        ("", ""),
    ],
)
def test_normalization(text, normalized):
    assert normalized_answer(text) == normalized


@given(TEXTS, TEXTS)
def test_scores_are_those_of_the_published_script(gold, predicted):
    """transformers includes SQuAD's evaluation script."""
    from transformers.data.metrics import squad_metrics

    assert normalized_answer(gold) == squad_metrics.normalize_answer(gold)
    expected = [gold] if squad_metrics.normalize_answer(gold) else [""]
    assert exact_match([gold], predicted) == squad_metrics.compute_exact(expected[0], predicted)
    assert answer_f1([gold], predicted) == pytest.approx(squad_metrics.compute_f1(expected[0], predicted))


@pytest.mark.parametrize(
    "expected, predicted, exact, f1",
    [
        (["Vistula", "Vistula River"], "the Vistula River", 1, 1),
        (["Vistula"], "Vistula River", 0, 2 / 3),
        (["to be or not to be"], "to be", 0, 1 / 2),
        (["Warsaw"], "", 0, 0),
        ([], "", 1, 1),
        ([], "Warsaw", 0, 0),
        (["the"], "", 1, 1),  # articles alone normalize to no answer
        (["the", "Warsaw"], "", 0, 0),
    ],
)
def test_scores_of_a_question(expected, predicted, exact, f1):
    assert (exact_match(expected, predicted), answer_f1(expected, predicted)) == (exact, pytest.approx(f1))


def test_answerable_and_unanswerable_questions_apart():
    scores = answer_scores([["Warsaw"], ["Vistula"], [], []], ["Warsaw", "Vistula River", "", "1944"])
    assert scores == pytest.approx(
        {
            "exact": 1 / 2,
            "f1": (1 + 2 / 3 + 1) / 4,
            "answerable_exact": 1 / 2,
            "answerable_f1": 5 / 6,
            "unanswerable_exact": 1 / 2,
            "unanswerable_f1": 1 / 2,
        }
    )
    assert set(answer_scores([["Warsaw"]], ["Warsaw"])) == {"exact", "f1", "answerable_exact", "answerable_f1"}
    assert answer_scores([["A"]], ["A"])["answerable_exact"] == 1.0  # a grade or a vitamin, which normalizes to nothing
    assert answer_scores([], []) == {}


@pytest.mark.parametrize(
    "margins, answered, unanswered, threshold",
    [
        ([3.0, 1.0, -1.0], [1, 0, 0], [0, 1, 1], 2.0),
        ([3.0, 1.0], [1, 1], [0, 0], 0.0),  # everything is answered
        ([3.0, 1.0], [0, 0], [1, 1], 4.0),  # nothing is
        ([-3.0, -1.0], [1, 1], [0, 0], -4.0),
        ([1.0, 1.0], [1, 0], [0, 1], 0.0),  # equal margins cannot be separated
        ([], [], [], 0.0),
    ],
)
def test_threshold(margins, answered, unanswered, threshold):
    assert best_no_answer_threshold(*map(np.array, (margins, answered, unanswered))) == threshold


@given(st.lists(st.tuples(st.integers(-5, 5), st.sampled_from([0.0, 0.5, 1.0]), st.booleans()), max_size=12))
def test_no_threshold_is_better(questions):
    margins, answered, unanswered = (np.array([row[k] for row in questions], float) for k in range(3))

    def score(threshold):
        return np.where(margins >= threshold, answered, unanswered).sum()

    best = max(map(score, [*np.arange(-6, 7) - 0.25, 0.0]))
    assert score(best_no_answer_threshold(margins, answered, unanswered)) == pytest.approx(best)
