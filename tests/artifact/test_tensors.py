"""Stored tensors are read unchanged, and take little space if they are sparse or have few distinct values."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load, save

from rasa_compressed_bert.artifact import tensors as module
from rasa_compressed_bert.artifact.dequantization import dequantized
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.errors import ArtifactError

shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
floats = arrays.arrays(np.float32, shapes, elements=st.just(0.0) | st.floats(width=32))
integers = arrays.arrays(np.int8, shapes, elements=st.just(0) | st.integers(-128, 127))


@st.composite
def clustered(draw):
    """Tensors with few distinct values, possibly many of them zero."""
    dtype = draw(st.sampled_from([np.float32, np.int8, np.uint8]))
    count, zeros = draw(st.integers(1, 300)), draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=20))
    tensor = rng.integers(0, count, shape) - count // 2
    return np.where(rng.random(shape) < zeros, 0, tensor).astype(dtype)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text("abc.01", min_size=1, max_size=6), floats | integers | clustered(), max_size=4))
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


def content(stored):
    """The number of bytes after the header with names, shapes and offsets."""
    return len(stored) - 8 - int.from_bytes(stored[:8], "little")


def of_few_values(count, size=20_000, dtype=np.int8):
    """A tensor with exactly `count` distinct values, none of them 0."""
    values = np.arange(1, count + 1).astype(dtype)
    indices = np.random.default_rng(0).integers(0, count, size)
    indices[:count] = np.arange(count)
    return values[indices].reshape(-1, 100)


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 15, 16])
def test_tensors_of_few_values_take_the_bits_of_an_index(count, dtype):
    tensor = of_few_values(count, dtype=dtype)
    bits = max(1, int(np.ceil(np.log2(count))))
    stored = tensors_to_bytes({"w": tensor})
    assert 0 <= content(stored) - tensor.size * bits / 8 <= count * tensor.itemsize + 24 + 8
    np.testing.assert_array_equal(tensors_from_bytes(stored)["w"], tensor)


@pytest.mark.parametrize("count", [17, 100, 255, 256, 257, 1000])
def test_floats_of_up_to_256_values_take_a_byte_and_bytes_are_left_as_they_are(count):
    floats, bits = of_few_values(count, dtype=np.float32), of_few_values(min(count, 255))
    assert len(tensors_to_bytes({"w": floats})) <= floats.size * (1 if count <= 256 else 4) + 4 * count + 300
    assert bits.nbytes <= len(tensors_to_bytes({"w": bits})) <= bits.nbytes + 100
    for tensor in (floats, bits):
        np.testing.assert_array_equal(tensors_from_bytes(tensors_to_bytes({"w": tensor}))["w"], tensor)


def test_distinct_values_at_the_end_are_not_missed():
    tensor = np.zeros(50_000, np.float32) + 3
    tensor[-1000:] = np.arange(1000)
    np.testing.assert_array_equal(tensors_from_bytes(tensors_to_bytes({"w": tensor}))["w"], tensor)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("sparsity", [0.7, 0.9])
def test_sparse_tensors_of_few_values_are_small_in_both_ways(sparsity, bits):
    tensor = np.where(np.random.default_rng(1).random((200, 100)) < sparsity, 0, of_few_values(2**bits))
    count, present = tensor.size, np.count_nonzero(tensor)
    assert content(tensors_to_bytes({"w": tensor})) <= min(count * (1 + bits), count + present * bits) / 8 + 100
    np.testing.assert_array_equal(tensors_from_bytes(tensors_to_bytes({"w": tensor}))["w"], tensor)


def damaged(**parts):
    """The bytes of a clustered tensor with some of its parts replaced."""
    stored = load(tensors_to_bytes({"w": of_few_values(7)}))
    assert set(stored) == {"w#indices", "w#codebook", "w#size"}
    stored.update({f"w#{name}": np.array(value) for name, value in parts.items()})
    return save({name: value for name, value in stored.items() if value.dtype != object})


@pytest.mark.parametrize(
    "parts",
    [
        {"indices": np.zeros(10, np.uint8)},
        {"indices": np.zeros(0, np.uint8)},
        {"indices": np.zeros(7500, np.int8)},
        {"indices": np.zeros(7500, np.float32)},
        {"indices": None},
        {"codebook": np.zeros(0, np.int8)},
        {"codebook": np.zeros(3, np.int8)},
        {"codebook": np.zeros((8, 2), np.int8)},
        {"codebook": np.int8(1)},
        {"size": np.array([3, 200, 99])},
        {"size": np.array([3, -200, -100])},
        {"size": np.array([0, 200, 100])},
        {"size": np.array([-3, 200, 100])},
        {"size": np.array([9, 200, 100])},
        {"size": np.array([3, 2**62, 2**62])},
        {"size": np.array([3.0, 200.0, 100.0])},
        {"size": np.zeros(0, np.int64)},
        {"size": np.int64(3)},
        {"size": None},
    ],
    ids=lambda parts: " ".join(f"{name} {getattr(value, 'tolist', str)()}"[:40] for name, value in parts.items()),
)
def test_damaged_code_books_and_indices_are_refused(parts):
    with pytest.raises(ArtifactError, match="weights.safetensors cannot be read"):
        tensors_from_bytes(damaged(**parts))


def test_an_index_stands_for_one_value():
    """If it stood for a row of the code book, this 5 MB file would take 4 GB."""
    rows = {"codebook": np.zeros((256, 20_000), np.int8), "indices": np.zeros(200_000, np.uint8)}
    data = damaged(size=np.array([8, 200_000]), **rows)
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match="the code book of 'w' is not a list"):
            tensors_from_bytes(data)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_undamaged_code_books_and_indices_are_read():
    np.testing.assert_array_equal(tensors_from_bytes(damaged())["w"], of_few_values(7))
    reshaped = tensors_from_bytes(damaged(size=np.array([3, 100, 200])))["w"]
    np.testing.assert_array_equal(reshaped, of_few_values(7).reshape(100, 200))


DATA = tensors_to_bytes(
    {"dense": pruned(0.0)[:3, :5], "sparse": pruned(0.9)[:9, :8], "clustered": of_few_values(5, size=300)}
)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 40, len(DATA) - 1])
def test_truncated_bytes_are_refused(length):
    with pytest.raises(ArtifactError, match="weights.safetensors cannot be read"):
        tensors_from_bytes(DATA[:length])


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 8 * len(DATA) - 1))
def test_damaged_bytes_are_refused_or_still_tensors(position):
    """Detecting every change is the digest's task; here damage must not raise any other exception."""
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


def coded(bits, *, name="x"):
    """Zeros, stored as a code book of one 8-byte value and a 1-bit index for each element."""
    parts = {"#indices": np.zeros(bits // 8, np.uint8), "#codebook": np.zeros(1), "#size": np.array([1, bits])}
    return {name + part: values for part, values in parts.items()}


def sparse(bits, *, name="x"):
    parts = {"#mask": np.zeros(bits // 8, np.uint8), "#values": np.zeros(0), "#shape": np.array([bits])}
    return {name + part: values for part, values in parts.items()}


@pytest.mark.parametrize("form", [coded, sparse])
@pytest.mark.parametrize("names", ["x", "abcd"])
def test_a_small_file_may_not_expand_beyond_the_limit_of_a_model(form, names, monkeypatch):
    """8 kB in an archive became half a GB in memory, and 4 MB more than any machine has."""
    data = save({key: value for name in names for key, value in form(8000 // len(names), name=name).items()})
    assert sum(tensor.nbytes for tensor in tensors_from_bytes(data).values()) == 64_000
    monkeypatch.setattr(module, "LARGEST_FILE", 63_999)
    with pytest.raises(ArtifactError, match="weights.safetensors cannot be read"):
        tensors_from_bytes(data)


@pytest.mark.parametrize(
    "tensors",
    [
        {"embeddings.word": np.zeros(2000, np.int8), "embeddings.word.scale": np.ones(2000, np.float32)},
        {"a.kernel": np.zeros((2000, 1), np.int8), "a.kernel.scale": np.ones(2000, np.float32)},
        {"a.kernel": np.zeros(2000, np.float32), "a.input_factors": np.ones(2000, np.float32)},
    ],
    ids=["rows", "columns", "inputs"],
)
def test_scales_that_do_not_fit_take_no_memory(tensors):
    """A product of n values and n scales in another direction has n * n values."""
    tracemalloc.start()
    with pytest.raises(ArtifactError, match="The scales of '.*' do not fit it"):
        dequantized(tensors)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1e6
