"""The linear probe classifies before the encoder is trained."""

import numpy as np
import pytest

from rasa_compressed_bert.training import linear_probe as module
from rasa_compressed_bert.training.linear_probe import linear_probe


def clusters(num_classes, size=12, width=8):
    rng = np.random.default_rng(0)
    classes = np.arange(size * num_classes) % num_classes
    centres = 3.0 * np.eye(width)[:num_classes]
    return (centres[classes] + rng.normal(0.0, 0.3, (len(classes), width))).astype(np.float32), classes


@pytest.mark.parametrize("num_classes", [1, 2, 3, 7])
def test_separates_clusters(num_classes):
    features, classes = clusters(num_classes)
    kernel, bias = linear_probe(features, classes, num_classes, seed=0)
    assert kernel.shape == (8, num_classes) and bias.shape == (num_classes,)
    logits = features @ kernel + bias
    assert (logits.argmax(axis=1) == classes).all()


def test_two_classes_have_the_probabilities_of_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    features, classes = clusters(2)
    kernel, bias = linear_probe(features, classes, 2, seed=0)
    logits = features @ kernel + bias
    expected = LogisticRegression(max_iter=200, tol=1e-3).fit(features, classes).predict_proba(features)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), expected, atol=0.01)


def test_of_many_examples_every_class_stays(monkeypatch):
    monkeypatch.setattr(module, "_MAX_EXAMPLES", 10)
    features, classes = clusters(3, size=100)
    rare = np.concatenate([classes, [3]])
    one_more = 3.0 * np.eye(8, dtype=np.float32)[3:4]
    kernel, bias = linear_probe(np.concatenate([features, one_more]), rare, 4, seed=0)
    assert (one_more @ kernel + bias).argmax() == 3


def test_one_example_a_class():
    kernel, bias = linear_probe(np.eye(5, dtype=np.float32), np.arange(5), 5, seed=0)
    assert (kernel + bias).argmax(axis=1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("present", [[1], [0, 2], [0, 2, 3]])
def test_a_class_that_never_occurs_is_never_the_likeliest(present):
    features, classes = clusters(len(present))
    kernel, bias = linear_probe(features, np.array(present)[classes], 5, seed=0)
    logits = features @ kernel + bias
    assert np.isfinite(logits).all()
    if len(present) > 1:
        assert (logits.argmax(axis=1) == np.array(present)[classes]).all()
