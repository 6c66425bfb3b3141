"""Code books are as good as those of k-means and as theory predicts; weights are rounded to the nearest value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from random_models import UNEVEN, random_parameters, random_shape
from sklearn.cluster import KMeans

from rasa_compressed_bert.compression.quantization import (
    LEVELS,
    Calibration,
    channel_sizes,
    codebooks_for,
    dithered,
    fit_codebook,
    is_sparse,
    quantize,
    quantize_by_codebook,
    quantize_uniform,
    stored_name,
)
from rasa_compressed_bert.config import QuantizationConfig

BITS = range(1, 9)
LLOYD_MAX = {1: 0.3634, 2: 0.1175, 3: 0.03454, 4: 0.009497}
"""The smallest mean squared error with 2^bits values for a normal distribution of variance 1 (Max 1960, table I)."""
LLOYD_MAX_LAPLACE = {1: 0.5, 2: 0.1762, 3: 0.0545, 4: 0.0154}
"""The same for a Laplace distribution of variance 1 (Paez and Glisson 1972)."""

matrices = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.just(0.0) | st.floats(-1000, 1000, width=32, allow_subnormal=False).filter(lambda x: abs(x) > 1e-6),
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def distortion(values, codebook):
    """Mean squared distance to the nearest code book value, by a naive loop."""
    return np.min([np.square(values - value) for value in codebook], axis=0).mean()


DISTRIBUTIONS = {
    "normal": normal(20_000),
    "laplace": np.random.default_rng(0).laplace(size=20_000),
    "uniform": np.random.default_rng(0).uniform(-2.0, 1.0, 20_000),
    "clusters": np.random.default_rng(0).choice([-3.0, 0.2, 1.0], 20_000) + normal(20_000, seed=1) / 10,
    "positive": np.abs(normal(20_000)) + 0.5,
}


@pytest.mark.parametrize("bits", LLOYD_MAX)
def test_distortion_of_a_normal_distribution_is_the_theoretical_optimum(bits):
    values = normal(1_000_000)
    assert distortion(values, fit_codebook(values, bits)) == pytest.approx(LLOYD_MAX[bits], rel=0.02)


@pytest.mark.parametrize("bits", LLOYD_MAX_LAPLACE)
def test_distortion_of_a_laplace_distribution_is_the_theoretical_optimum(bits):
    values = np.random.default_rng(0).laplace(size=1_000_000, scale=np.sqrt(0.5))
    assert distortion(values, fit_codebook(values, bits)) == pytest.approx(LLOYD_MAX_LAPLACE[bits], rel=0.02)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_as_good_as_k_means(name, bits):
    values = DISTRIBUTIONS[name]
    reference = KMeans(2**bits, n_init=2, random_state=0).fit(values[:, np.newaxis])
    theirs = distortion(values, reference.cluster_centers_[:, 0])
    rounding = (np.abs(values).max() / LEVELS) ** 2 / 12  # of rounding the centres to 8 bits
    assert distortion(values, fit_codebook(values, bits)) <= 1.03 * theirs + rounding


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_codebook_is_short_sorted_and_on_the_grid(name, bits):
    codebook = fit_codebook(DISTRIBUTIONS[name], bits)
    assert codebook.dtype == np.float32 and len(codebook) <= 2**bits
    assert (np.diff(codebook) > 0).all()
    steps = codebook / (np.abs(codebook).max() / LEVELS)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    assert np.abs(steps).max() == pytest.approx(LEVELS)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_more_bits_are_better_and_8_are_nearly_as_good_as_evenly_spaced_ones(name):
    values = DISTRIBUTIONS[name]
    errors = [distortion(values, fit_codebook(values, bits)) for bits in BITS]
    assert all(more < fewer for fewer, more in zip(errors, errors[1:]))
    evenly = quantize_uniform(values[np.newaxis], axis=None).dequantized()
    assert errors[-1] <= 2 * np.square(evenly - values).mean()


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_codebook_grows_with_its_values(bits):
    values = DISTRIBUTIONS["laplace"]
    np.testing.assert_allclose(fit_codebook(64 * values, bits), 64 * fit_codebook(values, bits), rtol=0.01, atol=0.05)


@pytest.mark.parametrize("values", [[-1.0, 1.0], [-2.0, 0.0, 2.0], [0.5], [0.0, 0.0, 0.0], [-3.0, -3.0, 9.0, 9.0], []])
def test_a_few_distinct_values_are_found(values):
    """They are found up to the bin width of the histogram that they are counted in."""
    bins = (np.ptp(values) if np.ptp(np.array([*values, *values[:1]] or [0.0])) else 1.0) / 4096
    codebook = fit_codebook(np.array(values, np.float32), 2)
    assert np.isfinite(codebook).all()
    for value in values:
        assert np.abs(codebook - value).min() <= bins + np.abs(codebook).max() / LEVELS


@settings(max_examples=60, deadline=None)
@given(matrices, st.sampled_from([None, 0, 1]), st.integers(1, 8))
def test_every_element_is_the_nearest_value_of_the_codebook(matrix, axis, bits):
    size = channel_sizes(matrix, axis)
    codebook = fit_codebook(matrix / size, bits)
    quantized = quantize_by_codebook(matrix, codebook, axis=axis)
    assert quantized.values.dtype == np.int8 and quantized.scale.dtype == np.float32
    assert len(np.unique(quantized.values)) <= 2**bits + is_sparse(matrix)
    for index, weight in np.ndenumerate(matrix):
        channel = np.broadcast_to(size, matrix.shape)[index]
        served = quantized.dequantized()[index]
        if weight == 0 and is_sparse(matrix):
            assert served == 0
        else:
            nearest = min(abs(weight - value * channel) for value in codebook)
            assert abs(weight - served) <= nearest + 1e-5 * channel * max(1.0, np.abs(codebook).max())


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("bits", [1, 2, 8])
def test_zeros_of_pruned_weights_stay_zero_and_no_others_become_zero(axis, bits):
    matrix = normal(40, 24)
    matrix[np.random.default_rng(1).random(matrix.shape) < 0.6] = 0
    scaled = matrix / channel_sizes(matrix, axis)
    quantized = quantize_by_codebook(matrix, fit_codebook(scaled[scaled != 0], bits), axis=axis)
    assert not quantized.values[matrix == 0].any()
    if bits < 8:
        assert quantized.values[matrix != 0].all(), "the code book is that of the other weights"


@pytest.mark.parametrize("zeros, expected", [(0, False), (8, False), (9, True), (64, True)])
def test_more_than_an_eighth_of_zeros_is_pruned(zeros, expected):
    matrix = np.ones(64, np.float32)
    matrix[:zeros] = 0
    assert is_sparse(matrix.reshape(8, 8)) is expected


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("bits", [1, 2, 8])
@pytest.mark.parametrize("value", [0.0, 3.0, -1e-5])
def test_constant_matrices(value, bits, axis):
    matrix = np.full((6, 5), value, np.float32)
    codebook = fit_codebook(matrix / channel_sizes(matrix, axis), bits)
    quantized = quantize_by_codebook(matrix, codebook, axis=axis)
    np.testing.assert_allclose(quantized.dequantized(), matrix, rtol=1e-3, atol=0)


def test_a_channel_of_zeros_between_others():
    matrix = normal(30, 3)
    matrix[:, 1] = 0
    codebook = fit_codebook(matrix / channel_sizes(matrix, 0), 2)
    dequantized = quantize_by_codebook(matrix, codebook, axis=0).dequantized()
    assert np.isfinite(dequantized).all() and np.abs(dequantized[:, 1]).max() < 1e-9


@settings(max_examples=80, deadline=None)
@given(matrices, st.sampled_from([None, 0, 1]), st.sampled_from([31, 127]))
def test_rounding_is_at_most_half_a_step(matrix, axis, levels):
    quantized = quantize_uniform(matrix, axis=axis, levels=levels)
    values, scale = quantized
    assert values.dtype == np.int8 and scale.dtype == np.float32 and (scale > 0).all()
    assert scale.shape == {None: (1, 1), 0: (1, matrix.shape[1]), 1: (matrix.shape[0], 1)}[axis]
    assert np.abs(values.astype(int)).max() <= levels
    assert (np.abs(quantized.dequantized() - matrix) <= 0.5001 * scale).all()


def test_largest_weight_of_every_column_uses_all_levels():
    assert np.abs(quantize_uniform(normal(20, 6), axis=0).values).max(axis=0).tolist() == [127] * 6


def test_columns_of_zeros_stay_zero():
    values, scale = quantize_uniform(np.array([[0.0, 2.0], [0.0, -1.0]], np.float32), axis=0)
    assert values.tolist() == [[0, 127], [0, -64]] and np.isfinite(scale).all()
    assert not quantize_uniform(np.zeros((3, 3), np.float32), axis=None).values.any()


def test_evenly_spaced_zeros_of_pruned_weights_stay_zero():
    matrix = normal(20, 6)
    matrix[::2] = 0
    assert not quantize_uniform(matrix, axis=0).values[::2].any()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_empty_matrices(shape, axis):
    quantized = quantize_uniform(np.zeros(shape, np.float32), axis=axis)
    assert quantized.values.shape == shape and (quantized.scale == 1).all()


@pytest.mark.parametrize(
    "name, stored",
    [
        ("layers.0.query.kernel", "layers.0.query_key_value.kernel"),
        ("layers.11.key.bias", "layers.11.query_key_value.bias"),
        ("layers.3.value.kernel", "layers.3.query_key_value.kernel"),
        ("layers.3.attention_output.kernel", "layers.3.attention_output.kernel"),
        ("embeddings.word", "embeddings.word"),
        ("pooler.kernel", "pooler.kernel"),
        ("query.value", "query.value"),
    ],
)
def test_stored_name(name, stored):
    assert stored_name(name) == stored
    assert stored_name(stored) == stored


def config_of(**options):
    return QuantizationConfig(**{"method": "kmeans", "encoder_bits": 2, "embedding_bits": 3, **options})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("per_channel", [True, False])
def test_one_codebook_for_query_key_and_value_and_none_for_the_head(per_channel):
    shape = random_shape(UNEVEN)
    codebooks = codebooks_for(random_parameters(shape, pooler_size=16), config_of(per_channel=per_channel))
    parts = ("query_key_value", "attention_output", "intermediate", "output")
    there = {0: parts, 1: parts, 2: parts[2:], 3: parts[:2]}  # parts that pruning left, by layer
    assert set(codebooks) == {
        *("embeddings.word", "embeddings.position"),
        *(f"layers.{index}.{part}.kernel" for index, names in there.items() for part in names),
    }
    assert {name: len(codebook) for name, codebook in codebooks.items()} == {
        name: 8 if name.startswith("embeddings.") else 4 for name in codebooks
    }


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_shared_codebook_suits_all_three(bits):
    rng = np.random.default_rng(0)
    kernels = {
        f"layers.0.{part}.kernel": size * rng.normal(size=(64, 48)).astype(np.float32)
        for part, size in (("query", 0.01), ("key", 1.0), ("value", 30.0))
    }
    (codebook,) = codebooks_for(kernels, config_of(encoder_bits=bits)).values()
    for matrix in kernels.values():
        dequantized = quantize_by_codebook(matrix, codebook, axis=0).dequantized()
        assert np.square((dequantized - matrix) / matrix.std()).mean() < 1.1 * LLOYD_MAX[bits]


def test_codebook_of_pruned_weights_is_that_of_the_weights_that_are_left():
    matrix = normal(64, 64)
    matrix[np.abs(matrix) < 1.0] = 0
    (codebook,) = codebooks_for({"layers.0.output.kernel": matrix}, config_of(encoder_bits=2)).values()
    scaled = matrix / channel_sizes(matrix, 0)
    np.testing.assert_array_equal(codebook, fit_codebook(scaled[scaled != 0], 2))
    assert np.abs(codebook).min() > 0.5


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(
    "name, codebook, axis, levels",
    [
        ("embeddings.word", None, 1, 31),
        ("layers.0.key.kernel", None, 0, 127),
        ("classifier.kernel", None, 0, 127),
        ("embeddings.word", "embeddings.word", None, None),
        ("layers.0.key.kernel", "layers.0.query_key_value.kernel", 0, None),
    ],
)
def test_named_matrices_get_their_format(name, codebook, axis, levels, per_channel):
    method = "kmeans" if codebook else "dynamic_int8"
    matrix, config = normal(12, 10), QuantizationConfig(method=method, per_channel=per_channel)
    if not per_channel:
        axis, levels = None, levels and 127
    values = fit_codebook(matrix, 2)
    quantized = quantize(name, matrix, config, calibration=Calibration(codebooks={codebook: values}))
    expected = (
        quantize_by_codebook(matrix, values, axis=axis)
        if codebook
        else quantize_uniform(matrix, axis=axis, levels=levels)
    )
    np.testing.assert_array_equal(quantized.values, expected.values)
    np.testing.assert_array_equal(quantized.scale, expected.scale)


@given(matrix=matrices, per_channel=st.booleans(), name=st.sampled_from(["layers.0.output.kernel", "embeddings.word"]))
def test_dithered_weights_are_rounded_to_the_same_values(matrix, per_channel, name):
    config = QuantizationConfig(per_channel=per_channel)
    before = quantize(name, matrix, config, calibration=Calibration())
    moved = dithered({name: before.dequantized()}, config, np.random.default_rng(0))[name]
    after = quantize(name, moved, config, calibration=Calibration())
    np.testing.assert_array_equal(after.values, before.values)
    np.testing.assert_array_equal(moved == 0, before.values == 0)


def test_small_changes_of_dithered_weights_are_kept_in_the_mean():
    config, name = QuantizationConfig(), "layers.0.output.kernel"
    before = quantize(name, normal(2000, 8), config, calibration=Calibration())
    weights, change = before.dequantized(), 0.2 * before.scale
    inner = (before.values != 0) & (np.abs(before.values) < LEVELS - 1)  # the largest ones set the scale
    moved = dithered({name: weights}, config, np.random.default_rng(0))[name]
    for start, kept in ((weights, 0.0), (moved, 0.2)):
        after = quantize(name, np.where(inner, start + change, weights), config, calibration=Calibration())
        assert np.mean((after.values - before.values)[inner].astype(float)) == pytest.approx(kept, abs=0.02)


@pytest.mark.parametrize("method", ["none", "static_int8", "kmeans"])
def test_other_formats_are_not_dithered(method):
    assert not dithered({"layers.0.output.kernel": normal(4, 4)}, QuantizationConfig(method=method), np.random)
