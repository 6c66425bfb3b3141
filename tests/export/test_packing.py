"""Packing keeps the parameters up to quantization, and archives shrink as their bits promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import UNEVEN, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.compression.quantization import calibration_for, is_sparse, stored_name
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.export.packing import input_format, pack, state_of, unpack

SHAPE = random_shape(UNEVEN)


def extremes_for(parameters):
    kernels = {name: value for name, value in parameters.items() if name.endswith(".kernel") and value.size}
    rng = np.random.default_rng(0)
    rows = {stored_name(name)[: -len(".kernel")]: len(value) for name, value in kernels.items()}
    return {name: np.array([-rng.lognormal(size=size), rng.lognormal(size=size)]) for name, size in rows.items()}


def packed(parameters, *, shape=SHAPE, smoothed=False, **options):
    config = QuantizationConfig(**options)
    extremes = extremes_for(parameters) if smoothed or config.method == "static_int8" else {}
    return pack(shape, parameters, config, calibration_for(parameters, config, extremes))


def largest_errors(*, pooler_size=0, **options):
    parameters = random_parameters(SHAPE, pooler_size=pooler_size)
    tensors = packed(parameters, **options)
    unpacked = unpack(SHAPE, tensors)
    assert {name: value.shape for name, value in unpacked.items()} == {
        name: value.shape for name, value in parameters.items()
    }
    assert all(value.dtype == np.float32 for value in unpacked.values())
    return tensors, parameters, {name: np.abs(unpacked[name] - parameters[name]).max(initial=0) for name in parameters}


@pytest.mark.parametrize("pooler_size", [0, 16])
def test_floats_come_back_exactly(pooler_size):
    tensors, _, errors = largest_errors(method="none", pooler_size=pooler_size)
    assert set(errors.values()) == {0.0}
    assert not any(name.endswith("scale") for name in tensors)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("pooler_size", [0, 16])
def test_int8_comes_back_rounded(per_channel, pooler_size):
    tensors, parameters, errors = largest_errors(per_channel=per_channel, pooler_size=pooler_size)
    for name, error in errors.items():
        is_matrix = parameters[name].ndim == 2 and name != "embeddings.position"
        levels = 31 if name == "embeddings.word" and per_channel else 127
        largest = np.abs(parameters[name]).max(initial=0)
        assert error <= 0.5001 * largest / levels if is_matrix else error == 0.0, name
        if is_matrix and parameters[name].size and name in tensors:
            assert tensors[name].dtype == np.int8
            count = {True: len(parameters[name]) if name == "embeddings.word" else parameters[name].shape[1]}
            assert tensors[f"{name}.scale"].shape == (count.get(per_channel, 1),)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("method", ["dynamic_int8", "static_int8"])
def test_smoothed_int8_comes_back_without_its_factors(method, per_channel):
    tensors, parameters, errors = largest_errors(method=method, per_channel=per_channel, smoothed=True, pooler_size=16)
    factors = {name: 1 / value for name, value in tensors.items() if name.endswith(".input_factors")}
    assert len(factors) == 12 + 2 and all(value.dtype == np.float32 for value in factors.values())
    for name, error in errors.items():
        if name.endswith(".kernel") and parameters[name].size:
            of_rows = factors[stored_name(name).replace(".kernel", ".input_factors")]
            largest = np.abs(parameters[name] * of_rows[:, np.newaxis]).max()
            assert 0 < error <= 0.5001 * largest / 127 / of_rows.min(), name


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_kmeans_matrices_have_few_values_in_units_of_their_channels(bits, per_channel):
    options = {"method": "kmeans", "encoder_bits": bits, "embedding_bits": 9 - bits, "per_channel": per_channel}
    tensors, parameters, errors = largest_errors(pooler_size=16, **options)
    for name, value in parameters.items():
        of_table = name.startswith("embeddings.") and value.ndim == 2
        if value.ndim == 1:
            assert errors[name] == 0.0, name
        elif of_table or name.startswith("layers.") and value.size:
            assert len(np.unique(tensors[stored_name(name)])) <= 2 ** (9 - bits if of_table else bits)
        elif value.size:
            assert errors[name] <= 0.5001 * np.abs(value).max() / 127, "heads are evenly spaced"


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["dynamic_int8", "static_int8", "kmeans"]),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 5), st.integers(0, 9)), max_size=3),
    st.booleans(),
    st.integers(1, 8),
    st.integers(0, 99),
)
def test_round_trip_of_any_widths(method, layers, per_channel, bits, seed):
    layers = [(heads, *(sizes if heads else (0, 0)), neurons) for heads, *sizes, neurons in layers]
    shape = random_shape(tuple(layers), hidden_size=8, vocab_size=6)
    parameters = random_parameters(shape, seed=seed)
    if method == "kmeans":
        tensors = packed(parameters, shape=shape, method=method, per_channel=per_channel, encoder_bits=bits)
    else:
        tensors = packed(parameters, shape=shape, method=method, per_channel=per_channel)
    unpacked = unpack(shape, tensors_from_bytes(tensors_to_bytes(tensors)))
    assert set(unpacked) == set(parameters)
    for name, value in unpacked.items():
        assert value.shape == parameters[name].shape and value.dtype == np.float32
        np.testing.assert_array_equal(value, unpack(shape, tensors)[name])
        if bits == 8 and value.ndim == 2:
            assert np.abs(value - parameters[name]).max(initial=0) <= 0.1 * np.abs(parameters[name]).max(initial=0)


@pytest.mark.parametrize("per_channel", [True, False])
def test_packing_what_was_unpacked_gives_the_same_integers(per_channel):
    tensors = packed(random_parameters(SHAPE), per_channel=per_channel)
    again = packed(unpack(SHAPE, tensors), per_channel=per_channel)
    assert set(again) == set(tensors)
    for name, tensor in tensors.items():
        if tensor.dtype == np.int8:
            np.testing.assert_array_equal(again[name], tensor)


@pytest.mark.parametrize("method", ["dynamic_int8", "static_int8", "kmeans"])
def test_empty_matrices_are_left_out(method):
    tensors = packed(random_parameters(SHAPE), method=method)
    assert all(tensor.size for tensor in tensors.values())
    assert not any(name.startswith("layers.2.query") for name in tensors)
    assert "layers.3.intermediate.kernel" not in tensors and "layers.3.output.bias" in tensors


def test_static_int8_has_a_format_for_what_enters_every_product():
    tensors = packed(random_parameters(SHAPE, pooler_size=16), method="static_int8")
    products = {name[: -len(".kernel")] for name in tensors if name.endswith(".kernel")}
    assert len(products) == 14
    for name in products:
        scale, zero_point = tensors[f"{name}.input_scale"], tensors[f"{name}.input_zero_point"]
        assert scale.shape == zero_point.shape == () and scale > 0
        assert (scale.dtype, zero_point.dtype) == (np.float32, np.uint8)
    dynamic = packed(random_parameters(SHAPE))
    assert not any(name.endswith((".input_scale", ".input_zero_point", ".input_factors")) for name in dynamic)


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e4, 0), st.floats(0, 1e4))
def test_unsigned_8_bits_cover_the_range_and_hold_zero(low, high):
    scale, zero_point = input_format(low, high)
    ends = (np.array([0.0, 255.0]) - float(zero_point)) * float(scale)
    assert scale > 0 and 0 <= zero_point <= 255
    assert ends[0] - low <= 0.501 * scale + 1e-8 and high - ends[1] <= 0.501 * scale + 1e-8


def pruned(parameters, shape, share):
    """The parameters with a share of the smallest weights set to zero."""
    result = dict(parameters)
    for name in shape.kernel_names():
        kernel = parameters[name]
        result[name] = np.where(np.abs(kernel) < np.quantile(np.abs(kernel), share), 0, kernel).astype(np.float32)
    return result


@pytest.mark.parametrize("options", [{}, {"method": "static_int8"}, {"method": "kmeans", "encoder_bits": 2}], ids=str)
def test_pruned_weights_stay_pruned(options):
    shape = random_shape()
    parameters = pruned(random_parameters(shape), shape, 0.7)
    unpacked = unpack(shape, packed(parameters, shape=shape, **options))
    for name in shape.kernel_names():
        assert is_sparse(unpacked[name]) and not unpacked[name][parameters[name] == 0].any(), name


LARGE = random_shape(((4, 32, 32, 512), (4, 32, 32, 512)), hidden_size=128, vocab_size=2000)
"""Matrices so large that their scales take a negligible share."""


def bytes_of(tensors):
    return len(tensors_to_bytes(tensors))


@pytest.mark.parametrize("encoder_bits, embedding_bits", [(1, 1), (2, 4), (3, 2), (4, 3)])
def test_an_archive_shrinks_by_the_bits_promised(encoder_bits, embedding_bits):
    parameters = random_parameters(LARGE)
    options = {"method": "kmeans", "encoder_bits": encoder_bits, "embedding_bits": embedding_bits}
    tensors = packed(parameters, shape=LARGE, **options)
    tables = (LARGE.vocab_size + LARGE.max_position_embeddings) * LARGE.hidden_size
    weights = (LARGE.encoder_size() * encoder_bits + tables * embedding_bits) / 8
    floats = sum(tensor.nbytes for tensor in tensors.values() if tensor.ndim == 1)  # scales, biases and norms
    head = tensors["classifier.kernel"].nbytes
    stored = tensors_to_bytes(tensors)
    header = 8 + int.from_bytes(stored[:8], "little")  # names, shapes and offsets: no larger for large models
    assert weights + floats <= len(stored) - header <= 1.03 * weights + floats + head
    assert header < 300 * len(tensors)


def test_pruned_and_clustered_weights_are_smaller_still():
    parameters = random_parameters(LARGE)
    dense, half, most = (
        bytes_of(packed(pruned(parameters, LARGE, share), shape=LARGE, method="kmeans", encoder_bits=4))
        for share in (0.0, 0.5, 0.9)
    )
    weights = LARGE.encoder_size() / 8  # bytes per bit of each weight
    assert dense - half >= 0.95 * (4 - 1 - 0.5 * 4) * weights
    assert dense - most >= 0.95 * (4 - 1 - 0.1 * 4) * weights


def test_int8_archives_are_a_quarter_of_those_in_floats():
    parameters = random_parameters(LARGE)
    assert bytes_of(packed(parameters, shape=LARGE)) < 0.27 * bytes_of(packed(parameters, shape=LARGE, method="none"))


def test_a_tagger_without_neighbours_is_read_with_zero_weights_for_them():
    """Models of format 3 have such a tagger."""
    parameters = random_parameters(SHAPE, num_tags=5)
    alone = parameters["tagger.kernel"][: SHAPE.hidden_size]
    tensors = packed({**parameters, "tagger.kernel": alone}, method="none")
    shape = SHAPE.to_dict()
    manifest = {"encoder": shape, "dense_encoder": shape}
    state = state_of(Artifact(manifest, {WEIGHTS: tensors_to_bytes(tensors), TOKENIZER: b"{}"}))
    kernel = state.parameters["tagger.kernel"]
    before, own, after = np.split(kernel, 3)
    np.testing.assert_array_equal(own, alone)
    assert not before.any() and not after.any()


@pytest.mark.parametrize(
    ("entry", "value"),
    [("separator", 1), ("embedding_size", 8), ("max_position_embeddings", 3), ("vocab_size", 7), ("hidden_act", "x")],
)
def test_a_manifest_that_does_not_fit_the_weights_is_refused(entry, value):
    tensors, shape = packed(random_parameters(SHAPE), method="none"), SHAPE.to_dict()
    manifest = {"encoder": {**shape, entry: value}, "dense_encoder": shape}
    with pytest.raises(ArtifactError):
        state_of(Artifact(manifest, {WEIGHTS: tensors_to_bytes(tensors), TOKENIZER: b"{}"}))
