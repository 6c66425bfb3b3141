"""Smoothing brings 8-bit products close to those in floats, and a calibration has what its method needs."""

import numpy as np
import pytest

from rasa_compressed_bert.compression.quantization import (
    Calibration,
    calibration_for,
    quantize,
    quantize_uniform,
    smoothing_for,
)
from rasa_compressed_bert.config import QuantizationConfig


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def extremes_of(*, outlier=20.0, names=("layers.0.query_key_value", "layers.0.output", "classifier")):
    """Extremes of activations: -1 and 2, except for one channel."""
    channels = np.tile([[-1.0], [2.0]], 32)
    channels[:, 5] *= outlier
    return dict.fromkeys(names, channels)


def kernels_of(*sizes):
    names = [*(f"layers.0.{part}.kernel" for part in ("query", "key", "value", "output")), "classifier.kernel"]
    return {name: size * normal(32, 24, seed=seed) for seed, (name, size) in enumerate(zip(names, sizes))}


def test_smoothing_by_hand():
    kernel = np.array([[1.0, -8.0], [1.0, 0.5], [-2.0, 0.0]], np.float32)
    extremes = {"layers.0.output": np.array([[-4.0, 0.0, -1.0], [1.0, 2.0, 0.5]])}
    factors = smoothing_for({"layers.0.output.kernel": kernel, "layers.0.output.bias": kernel[0]}, extremes)
    expected = np.array([4**0.7 / 8**0.3, 2**0.7 / 1**0.3, 1**0.7 / 2**0.3])
    assert set(factors) == set(extremes) and factors["layers.0.output"].dtype == np.float32
    np.testing.assert_allclose(factors["layers.0.output"], expected / np.prod(expected) ** (1 / 3), rtol=1e-5)


def test_factors_of_query_key_and_value_follow_the_largest_of_the_three():
    (joined, output, head) = smoothing_for(kernels_of(1.0, 50.0, 1.0, 1.0, 1.0), extremes_of()).values()
    largest = smoothing_for(
        {"layers.0.key.kernel": kernels_of(1.0, 50.0)["layers.0.key.kernel"]},
        extremes_of(names=["layers.0.query_key_value"]),
    )
    np.testing.assert_allclose(joined, largest["layers.0.query_key_value"], rtol=1e-5)
    assert (joined != output).any() and (joined != head).any()


@pytest.mark.parametrize("channels, weights", [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1e-20, 1e20)])
def test_smoothing_of_channels_that_are_off_is_finite(channels, weights):
    kernel, extremes = np.full((4, 3), weights, np.float32), np.tile([[0.0], [channels]], 4)
    for switched_off in (slice(0), slice(0, 2)):
        kernel[switched_off] = 0
        extremes[:, switched_off] = 0
        (factors,) = smoothing_for({"classifier.kernel": kernel}, {"classifier": extremes}).values()
        assert np.isfinite(factors).all() and (factors > 0).all() and np.ptp(np.log10(factors)) < 6


def test_smoothing_brings_8_bit_products_near_those_in_floats():
    kernel, extremes = normal(32, 24), extremes_of(names=["layers.0.output"])["layers.0.output"]
    x = np.random.default_rng(1).uniform(*extremes, (200, 32))
    (factors,) = smoothing_for({"layers.0.output.kernel": kernel}, {"layers.0.output": extremes}).values()

    def error(factors):
        scale = np.ptp(x / factors) / 255
        rounded = np.rint(x / factors / scale) * scale
        return np.abs(
            rounded @ quantize_uniform(kernel * factors[:, np.newaxis], axis=0).dequantized() - x @ kernel
        ).mean()

    assert error(factors) < 0.5 * error(np.ones(32))


def test_calibration_of_static_int8_knows_the_ranges_of_what_is_smoothed():
    kernels, extremes = kernels_of(1.0, 1.0, 1.0, 1.0, 1.0), extremes_of()
    calibration = calibration_for(kernels, QuantizationConfig(method="static_int8"), extremes)
    assert not calibration.codebooks and set(calibration.ranges) == set(calibration.smoothing) == set(extremes)
    for name, (low, high) in calibration.ranges.items():
        smoothed = extremes[name] / calibration.smoothing[name]
        assert (low, high) == (smoothed.min(), smoothed.max()) and high < 20


@pytest.mark.parametrize("method", ["none", "dynamic_int8"])
def test_calibration_without_activations_is_empty(method):
    assert calibration_for(kernels_of(1.0), QuantizationConfig(method=method), {}) == Calibration()


def test_calibration_of_dynamic_int8_only_smooths():
    calibration = calibration_for(kernels_of(1.0, 1.0, 1.0, 1.0, 1.0), QuantizationConfig(), extremes_of())
    assert len(calibration.smoothing) == 3 and not calibration.ranges and not calibration.codebooks


def test_calibration_of_kmeans_is_code_books():
    calibration = calibration_for(kernels_of(1.0, 1.0, 1.0), QuantizationConfig(method="kmeans"), extremes_of())
    assert set(calibration.codebooks) == {"layers.0.query_key_value.kernel"}
    assert not calibration.ranges and not calibration.smoothing


@pytest.mark.parametrize("name", ["layers.0.key.kernel", "classifier.kernel"])
def test_smoothed_matrices_are_multiplied_by_their_factors(name):
    matrix, factors = normal(12, 10), np.linspace(0.5, 2.0, 12).astype(np.float32)
    calibration = Calibration(smoothing={"layers.0.query_key_value": factors, "classifier": factors})
    quantized = quantize(name, matrix, QuantizationConfig(), calibration=calibration)
    expected = quantize_uniform(matrix * factors[:, np.newaxis], axis=0)
    np.testing.assert_array_equal(quantized.values, expected.values)
    np.testing.assert_array_equal(quantized.scale, expected.scale)
