"""Temperature scaling recovers the temperature of the samples."""

import numpy as np
import pytest
from scipy.special import softmax

from rasa_compressed_bert.training.calibration import calibration_temperature


def draw(temperature, size=4000, classes=6):
    """Logits, and labels sampled from their softmax at a temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0.0, 3.0, (size, classes)).astype(np.float32)
    probabilities = softmax(logits.astype(np.float64) / temperature, axis=1)
    labels = (rng.random((size, 1)) > np.cumsum(probabilities, axis=1)).sum(axis=1)
    return logits, np.minimum(labels, classes - 1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_recovers_a_known_temperature(temperature):
    assert calibration_temperature(*draw(temperature)) == pytest.approx(temperature, rel=0.08)


def test_no_other_temperature_makes_the_labels_more_likely():
    logits, labels = draw(1.7, size=300)

    def loss(temperature):
        return -np.log(softmax(logits / temperature, axis=1)[np.arange(300), labels]).mean()

    best = calibration_temperature(logits, labels)
    assert all(loss(best) <= loss(other) + 1e-6 for other in np.linspace(0.3, 6.0, 100))


def test_few_examples_and_single_classes_say_nothing():
    logits, labels = draw(4.0)
    assert calibration_temperature(logits[:19], labels[:19]) == 1.0
    assert calibration_temperature(logits[:0], labels[:0]) == 1.0
    assert calibration_temperature(logits[:, :1], np.zeros(4000, int)) == 1.0


def test_a_perfect_model_has_no_infinite_confidence():
    """One wrong prediction is added to the count: 100 of 100 right ones become 100 of 101."""
    logits = 10.0 * np.eye(4, dtype=np.float32)[np.arange(100) % 4]
    temperature = calibration_temperature(logits, np.arange(100) % 4)
    assert softmax(logits / temperature, axis=1).max() == pytest.approx(100 / 101, abs=1e-4)


def test_huge_logits():
    logits = 1e4 * np.eye(4, dtype=np.float32)[np.arange(100) % 4]
    assert np.isfinite(calibration_temperature(logits, (np.arange(100) + 1) % 4))
