import numpy as np
import pytest

from rasa_compressed_bert.runtime.platt_scaling import PlattScaling
from rasa_compressed_bert.training.calibration import fit_platt_scaling


def confidences_of(margins, right):
    scaling = PlattScaling(*fit_platt_scaling(np.asarray(margins, float), np.asarray(right, bool)))
    return np.array([scaling.probability(margin) for margin in margins]), scaling


@pytest.mark.parametrize("slope, intercept", [(0.5, -1.0), (2.0, 0.0), (0.1, 3.0)])
def test_the_slope_and_the_intercept_of_the_data(slope, intercept):
    rng = np.random.default_rng(0)
    margins = rng.normal(0.0, 3.0 / slope, 5000)
    right = rng.random(5000) < 1 / (1 + np.exp(-(slope * margins + intercept)))
    fitted = PlattScaling(*fit_platt_scaling(margins, right))
    assert fitted.slope == pytest.approx(slope, rel=0.1)
    assert fitted.intercept == pytest.approx(intercept, abs=0.3)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_mean_confidence_is_the_share_of_right_predictions(share):
    """If all n predictions are right it is (n + 1) / (n + 2), never 1."""
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


def test_margins_that_are_equal_except_for_rounding_make_no_step():
    """The standard deviation of 20 times 3.1 is 4e-16."""
    fitted = PlattScaling(*fit_platt_scaling(np.full(20, 3.1), np.ones(20, bool)))
    assert [fitted.probability(margin) for margin in (3.0, 3.1, 3.2)] == pytest.approx([0.95] * 3, abs=0.01)


def test_equal_margins():
    confidences, _ = confidences_of(np.full(40, 2.0), np.arange(40) < 10)
    assert confidences == pytest.approx(0.26, abs=0.02)


def test_few_predictions_teach_nothing():
    assert fit_platt_scaling(np.ones(19), np.ones(19, bool)) == (1.0, 0.0)
    assert fit_platt_scaling(np.ones(0), np.ones(0, bool)) == (1.0, 0.0)
