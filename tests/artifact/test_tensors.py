"""Tensors survive being stored, and are small when they are mostly zero."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.errors import ArtifactError

shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9)
floats = arrays.arrays(np.float32, shapes, elements=st.just(0.0) | st.floats(width=32))
integers = arrays.arrays(np.int8, shapes, elements=st.just(0) | st.integers(-128, 127))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abc.01", min_size=1, max_size=6), floats | integers, max_size=4))
def test_round_trip(tensors):
    read = tensors_from_bytes(tensors_to_bytes(tensors))
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype and read[name].shape == tensor.shape
        np.testing.assert_array_equal(read[name], tensor)  # NaN equals NaN, and -0.0 may come back as 0.0


def pruned(sparsity, dtype=np.float32):
    rng = np.random.default_rng(0)
    values = rng.integers(1, 100, (64, 128)) * (rng.random((64, 128)) >= sparsity)
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.95])
def test_sparse_tensors_are_small(dtype, sparsity):
    tensor = pruned(sparsity, dtype)
    size = len(tensors_to_bytes({"w": tensor}))
    bits = tensor.size / 8 + np.count_nonzero(tensor) * tensor.itemsize
    assert size <= bits + 300 < tensor.nbytes
    np.testing.assert_array_equal(tensors_from_bytes(tensors_to_bytes({"w": tensor}))["w"], tensor)


def test_dense_tensors_do_not_grow():
    assert len(tensors_to_bytes({"w": pruned(0.0, np.int8)})) <= 64 * 128 + 100


def test_a_tensor_that_is_not_contiguous():
    tensor = pruned(0.0).T[::2]
    np.testing.assert_array_equal(tensors_from_bytes(tensors_to_bytes({"w": tensor}))["w"], tensor)
    tensor = pruned(0.9).T[::2]
    np.testing.assert_array_equal(tensors_from_bytes(tensors_to_bytes({"w": tensor}))["w"], tensor)


def test_no_tensors():
    assert tensors_from_bytes(tensors_to_bytes({})) == {}


DATA = tensors_to_bytes({"dense": pruned(0.0)[:3, :5], "sparse": pruned(0.9)[:9, :8]})


@pytest.mark.parametrize("length", [0, 1, 7, 8, 40, len(DATA) - 1])
def test_truncated_bytes_are_refused(length):
    with pytest.raises(ArtifactError, match="weights.safetensors cannot be read"):
        tensors_from_bytes(DATA[:length])


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 8 * len(DATA) - 1))
def test_damaged_bytes_are_refused_or_still_tensors(position):
    """The digest is what notices every change; here no damage may escape as another exception."""
    altered = bytearray(DATA)
    altered[position // 8] ^= 1 << position % 8
    try:
        tensors = tensors_from_bytes(bytes(altered))
    except ArtifactError as error:
        assert "weights.safetensors" in str(error)
    else:
        assert all(isinstance(tensor, np.ndarray) for tensor in tensors.values())


@pytest.mark.parametrize("data", [b"", b"no tensors at all", bytes(64)])
def test_other_bytes_are_refused(data):
    with pytest.raises(ArtifactError):
        tensors_from_bytes(data)
