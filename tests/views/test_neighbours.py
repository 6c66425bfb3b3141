"""The neighbour view against a plain search, and its stored form."""

import time

import numpy as np
import pytest

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.training import view_fitting
from rasa_compressed_bert.training.view_fitting import fit_neighbours
from rasa_compressed_bert.views.neighbours import NeighbourView
from rasa_compressed_bert.views.view import Reading


@pytest.fixture
def training():
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(4), 6)
    return rng.normal(size=(4, 20))[classes] + 0.3 * rng.normal(size=(24, 20)), classes


def test_the_largest_cosine_of_each_intent(training):
    features, classes = training
    query = np.random.default_rng(1).normal(size=20)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ query / np.linalg.norm(query)
    expected = [cosines[classes == label].max() for label in range(4)]
    assert fit_neighbours(features, classes, 4, seed=0).nearest(query) == pytest.approx(expected, abs=1e-5)


def test_a_model_without_features_is_refused(training):
    with pytest.raises(ArtifactError, match="outputs none. Train it again"):
        fit_neighbours(*training, 4, seed=0).evidence(Reading("hello", np.zeros(4), None))


def test_what_lies_outside_of_the_training_messages_is_unfamiliar():
    features = np.eye(300)[:5] + 0.01  # they span five of 300 dimensions
    view = fit_neighbours(features, np.arange(5), 5, seed=0)
    inside = features[0]
    outside = inside + 3.0 * np.eye(300)[250]
    assert view.nearest(inside).max() == pytest.approx(1.0, abs=1e-3)
    assert view.nearest(outside).max() < 0.4


def test_a_class_without_messages_has_a_row_that_nothing_is_near(training):
    features, classes = training
    assert fit_neighbours(features, classes, 5, seed=0).nearest(features[0])[4] == 0.0


def test_very_many_messages_are_represented_by_some(training, monkeypatch):
    features, classes = training
    monkeypatch.setattr(view_fitting, "_STORED", 8)
    view = fit_neighbours(features, classes, 4, seed=0)
    assert 4 <= view.size <= 8
    assert [view.nearest(row).argmax() for row in features] == classes.tolist()


def test_those_that_are_kept_represent_the_others(monkeypatch):
    """Eleven messages of one kind, two of another and one of a third: one of each is kept."""
    kinds = np.eye(3)[np.repeat(np.arange(3), [11, 2, 1])]
    features = np.concatenate([kinds + 0.05 * np.random.default_rng(0).normal(size=kinds.shape), 9.0 * np.eye(3)])
    monkeypatch.setattr(view_fitting, "_STORED", 4)  # of 17 messages, three of them of the first intent
    view = fit_neighbours(features, np.repeat([0, 1], [14, 3]), 2, seed=0)
    assert view.size == 4
    assert min(view.nearest(row)[0] for row in features) > 0.95


def test_of_a_hundred_thousand_messages_some_are_chosen_in_linear_time_and_memory():
    features = np.random.default_rng(0).normal(size=(100_000, 8)).astype(np.float32)
    start = time.process_time()
    view = fit_neighbours(features, np.repeat([0, 1], [99_000, 1_000]), 2, seed=0)
    assert view.size == 4_000 and time.process_time() - start < 10.0


def test_stored_and_read_again_it_gives_nearly_the_same(training):
    features, classes = training
    view = fit_neighbours(features, classes, 4, seed=0)
    again = NeighbourView.from_tensors(view.tensors(), 4)
    for row in features:
        reading = Reading("", np.zeros(4), row)
        assert again.evidence(reading).familiarity == pytest.approx(view.evidence(reading).familiarity, abs=0.02)
