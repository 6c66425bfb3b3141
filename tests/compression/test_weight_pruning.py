"""Masks equal those of tfmot's own magnitude pruning."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_impl import Pruning
from tensorflow_model_optimization.sparsity.keras import ConstantSparsity, prune_low_magnitude

from rasa_compressed_bert.compression.weight_pruning import magnitude_mask

TFMOT = {
    "unstructured": {"block_size": (1, 1)},
    "block_4x4": {"block_size": (4, 4)},
    "n2_m4": {"block_size": (1, 1), "sparsity_m_by_n": (2, 4)},
}


def tfmot_mask(weights, sparsity, pattern):
    weight, mask = tf.Variable(weights), tf.Variable(np.ones_like(weights))
    Pruning(
        training_step_fn=lambda: tf.constant(1),
        pruning_vars=[(weight, mask, tf.Variable(0.0))],
        pruning_schedule=ConstantSparsity(sparsity, 0, frequency=1),
        block_pooling_type="AVG",
        **TFMOT[pattern],
    ).conditional_mask_update()
    return mask.numpy()


def normal(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


@pytest.mark.parametrize("rows, columns", [(32, 64), (12, 4), (4, 20), (1, 1), (7, 11), (30, 3)])
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.6, 0.875, 0.99])
def test_unstructured_equals_tfmot(rows, columns, sparsity):
    weights = normal(rows, columns)
    np.testing.assert_array_equal(magnitude_mask(weights, sparsity), tfmot_mask(weights, sparsity, "unstructured"))


@pytest.mark.parametrize("rows, columns", [(32, 64), (12, 8), (8, 20), (7, 11), (8, 15)])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.6, 0.9])
def test_blocks_equal_tfmot(rows, columns, sparsity):
    weights = normal(rows, columns)
    ours = magnitude_mask(weights, sparsity, pattern="block_4x4")
    np.testing.assert_array_equal(ours, tfmot_mask(weights, sparsity, "block_4x4"))


@pytest.mark.parametrize("rows, columns", [(32, 64), (8, 3), (4, 5), (7, 4), (6, 4), (5, 2)])
def test_two_of_four_equals_tfmot(rows, columns):
    weights = normal(rows, columns)
    np.testing.assert_array_equal(magnitude_mask(weights, 0.5, pattern="n2_m4"), tfmot_mask(weights, 0.5, "n2_m4"))


def test_equals_tfmot_wrapped_around_a_layer():
    """tfmot's public API, once: it confirms the reference of the tests above."""
    layer = prune_low_magnitude(tf.keras.layers.Dense(16), ConstantSparsity(0.7, 0, frequency=1))
    model = tf.keras.Sequential([layer])
    model.build((None, 24))
    layer.layer.kernel.assign(normal(24, 16))
    layer.pruning_step.assign(1)
    layer.pruning_obj.conditional_mask_update()
    np.testing.assert_array_equal(magnitude_mask(normal(24, 16), 0.7), layer.pruning_vars[0][1].numpy())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.0, 1.0), st.integers(0, 2**32 - 1))
def test_mask_keeps_exactly_the_largest(rows, columns, sparsity, seed):
    weights = np.random.default_rng(seed).permutation(rows * columns).reshape(rows, columns).astype(np.float32) + 1
    weights *= np.random.default_rng(seed).choice([-1, 1], weights.shape)
    mask = magnitude_mask(weights, sparsity)
    assert set(np.unique(mask)) <= {0.0, 1.0}
    assert abs(mask.sum() - max(1.0, weights.size * (1 - sparsity))) <= 0.501
    assert np.abs(weights[mask == 1]).min() > np.abs(weights[mask == 0]).max(initial=0.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.0, 0.99), st.integers(0, 2**32 - 1))
def test_blocks_go_whole(rows, columns, sparsity, seed):
    mask = magnitude_mask(normal(rows, columns, seed), sparsity, pattern="block_4x4")
    for row in range(0, rows, 4):
        for column in range(0, columns, 4):
            assert len(np.unique(mask[row : row + 4, column : column + 4])) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_two_of_every_four_inputs_of_a_neuron_stay(rows, columns, seed):
    mask = magnitude_mask(normal(rows, columns, seed), 0.5, pattern="n2_m4")
    for row in range(0, rows, 4):
        group = mask[row : row + 4]
        assert (group.sum(axis=0) == min(2, len(group))).all()


def test_ties_stay():
    assert magnitude_mask(np.array([[1.0, -2.0, 2.0, 2.0]], np.float32), 0.75).tolist() == [[0.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize("pattern", TFMOT)
def test_mask_has_the_dtype_of_the_weights(pattern):
    assert magnitude_mask(normal(8, 8), 0.5, pattern=pattern).dtype == np.float32


@pytest.mark.parametrize("pattern", TFMOT)
def test_pruning_a_pruned_matrix_again_changes_nothing(pattern):
    weights = normal(16, 16)
    mask = magnitude_mask(weights, 0.5, pattern=pattern)
    np.testing.assert_array_equal(magnitude_mask(weights * mask, 0.5, pattern=pattern), mask)
