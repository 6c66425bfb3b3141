"""Packing keeps the parameters, up to the rounding of the quantization."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from random_models import UNEVEN, random_parameters, random_shape

from rasa_compressed_bert.export.packing import dequantize, pack, quantize, unpack

SHAPE = random_shape(UNEVEN)
matrices = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.just(0.0) | st.floats(-1000, 1000, width=32, allow_subnormal=False).filter(lambda x: abs(x) > 1e-6),
)


@settings(max_examples=80, deadline=None)
@given(matrices, st.sampled_from([None, 0, 1]), st.sampled_from([31, 127]))
def test_rounding_is_at_most_half_a_step(matrix, axis, levels):
    quantized, scale = quantize(matrix, axis=axis, levels=levels)
    assert quantized.dtype == np.int8 and scale.dtype == np.float32 and (scale > 0).all()
    assert scale.shape == {None: (1,), 0: (matrix.shape[1],), 1: (matrix.shape[0],)}[axis]
    assert np.abs(quantized.astype(int)).max() <= levels
    steps = scale[:, np.newaxis] if axis == 1 else scale
    error = np.abs(dequantize(quantized, scale, by_row=axis == 1) - matrix)
    assert (error <= 0.5001 * steps).all()


def test_largest_weight_of_every_column_uses_all_levels():
    matrix = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    quantized, _ = quantize(matrix, axis=0)
    assert np.abs(quantized).max(axis=0).tolist() == [127] * 6


def test_columns_of_zeros_stay_zero():
    quantized, scale = quantize(np.array([[0.0, 2.0], [0.0, -1.0]], np.float32), axis=0)
    assert quantized.tolist() == [[0, 127], [0, -64]] and np.isfinite(scale).all()
    assert not quantize(np.zeros((3, 3), np.float32), axis=None)[0].any()


def test_zeros_of_pruned_weights_stay_zero():
    matrix = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    matrix[::2] = 0
    assert not quantize(matrix, axis=0)[0][::2].any()


def largest_errors(int8, per_channel, *, pooler_size=0):
    parameters = random_parameters(SHAPE, pooler_size=pooler_size)
    tensors = pack(SHAPE, parameters, int8=int8, per_channel=per_channel)
    unpacked = unpack(SHAPE, tensors)
    assert {name: value.shape for name, value in unpacked.items()} == {
        name: value.shape for name, value in parameters.items()
    }
    assert all(value.dtype == np.float32 for value in unpacked.values())
    return tensors, parameters, {name: np.abs(unpacked[name] - parameters[name]).max(initial=0) for name in parameters}


@pytest.mark.parametrize("pooler_size", [0, 16])
def test_floats_come_back_exactly(pooler_size):
    tensors, _, errors = largest_errors(False, True, pooler_size=pooler_size)
    assert set(errors.values()) == {0.0}
    assert not any(name.endswith(".scale") for name in tensors)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("pooler_size", [0, 16])
def test_int8_comes_back_rounded(per_channel, pooler_size):
    tensors, parameters, errors = largest_errors(True, per_channel, pooler_size=pooler_size)
    for name, error in errors.items():
        is_matrix = parameters[name].ndim == 2 and name != "embeddings.position"
        levels = 31 if name == "embeddings.word" and per_channel else 127
        largest = np.abs(parameters[name]).max(initial=0)
        if any(f".{part}." in name for part in ("query", "key", "value")):  # share the scale of their joined matrix
            largest = max(
                np.abs(parameters[name.replace(name.split(".")[2], part)]).max(initial=0)
                for part in ("query", "key", "value")
            )
        assert error <= 0.5001 * largest / levels if is_matrix else error == 0.0, name
        if is_matrix and parameters[name].size and name in tensors:
            assert tensors[name].dtype == np.int8
            count = {True: len(parameters[name]) if name == "embeddings.word" else parameters[name].shape[1]}
            assert tensors[f"{name}.scale"].shape == (count.get(per_channel, 1),)


def test_packing_what_was_unpacked_gives_the_same_integers():
    parameters = random_parameters(SHAPE)
    tensors = pack(SHAPE, parameters, int8=True, per_channel=True)
    again = pack(SHAPE, unpack(SHAPE, tensors), int8=True, per_channel=True)
    assert set(again) == set(tensors)
    for name, tensor in tensors.items():
        if tensor.dtype == np.int8:
            np.testing.assert_array_equal(again[name], tensor)


def test_empty_matrices_are_left_out():
    tensors = pack(SHAPE, random_parameters(SHAPE), int8=True, per_channel=True)
    assert all(tensor.size for tensor in tensors.values())
    assert not any(name.startswith("layers.2.query") for name in tensors)
    assert "layers.3.intermediate.kernel" not in tensors and "layers.3.output.bias" in tensors
