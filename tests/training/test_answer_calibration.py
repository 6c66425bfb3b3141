import numpy as np
import pytest

from rasa_compressed_bert.runtime.answer_decoder import AnswerDecoder
from rasa_compressed_bert.training.answer_calibration import Confidences, fit_confidences


def confidences_of(margins, right):
    fitted = fit_confidences(np.asarray(margins, float), np.asarray(right, bool))
    decoder = AnswerDecoder({"max_answer_length": 3, "threshold": 0.5, **fitted._asdict()})
    return np.array([decoder.confidence(margin) for margin in margins]), fitted


@pytest.mark.parametrize("slope, intercept", [(0.5, -1.0), (2.0, 0.0), (0.1, 3.0)])
def test_the_slope_and_the_intercept_of_the_data(slope, intercept):
    rng = np.random.default_rng(0)
    margins = rng.normal(0.0, 3.0 / slope, 5000)
    right = rng.random(5000) < 1 / (1 + np.exp(-(slope * margins + intercept)))
    fitted = fit_confidences(margins, right)
    assert fitted.slope == pytest.approx(slope, rel=0.1)
    assert fitted.intercept == pytest.approx(intercept, abs=0.3)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_mean_confidence_is_the_share_of_right_answers(share):
    """If all n answers are right it is (n + 1) / (n + 2), never 1."""
    margins = np.linspace(-4, 4, 50)
    right = np.arange(50) % 10 < 10 * share
    confidences, fitted = confidences_of(margins, right)
    counts = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / (50 - right.sum() + 2))
    assert confidences.mean() == pytest.approx(counts.mean(), abs=1e-3)
    assert fitted.slope > 0 and 0.0 < confidences.min() <= confidences.max() < 1.0


def test_larger_margins_are_never_less_certain():
    margins = np.linspace(-4, 4, 50)
    confidences, _ = confidences_of(margins, margins < 0)  # larger margins are wrong more often
    assert (np.diff(confidences) >= 0).all()


def test_equal_margins():
    confidences, _ = confidences_of(np.full(40, 2.0), np.arange(40) < 10)
    assert confidences == pytest.approx(0.26, abs=0.02)


def test_few_questions_teach_nothing():
    assert fit_confidences(np.ones(19), np.ones(19, bool)) == Confidences(1.0, 0.0)
    assert fit_confidences(np.ones(0), np.ones(0, bool)) == Confidences(1.0, 0.0)
