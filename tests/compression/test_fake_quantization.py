"""Fake-quantized weights and activations equal the served ones, and gradients pass through."""

import numpy as np
import pytest
import tensorflow as tf
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import (
    NOT_CALIBRATED,
    WORD,
    Calibration,
    calibration_for,
    stored_name,
)
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.export.packing import input_format, pack, unpack
from rasa_compressed_bert.models.task_model import TaskModel

SHAPE = random_shape(UNEVEN)
FORMATS = {
    "dynamic_int8": {},
    "static_int8": {"method": "static_int8"},
    **{
        f"kmeans {bits}": {"method": "kmeans", "encoder_bits": bits, "embedding_bits": 9 - bits} for bits in range(1, 9)
    },
}
EVERY_FORMAT = pytest.mark.parametrize("options", FORMATS.values(), ids=FORMATS)


def extremes_for(parameters):
    """Extremes of activations, whose channels have very different sizes."""
    rng = np.random.default_rng(0)
    kernels = {name: value for name, value in parameters.items() if name.endswith(".kernel") and value.size}
    rows = {stored_name(name)[: -len(".kernel")]: len(value) for name, value in kernels.items()}
    return {name: np.array([-rng.lognormal(size=size), rng.lognormal(size=size)]) for name, size in rows.items()}


def quantizer_for(parameters, options, extremes=None):
    """A quantizer, its calibration, and the parameters that are served."""
    config = QuantizationConfig(**options)
    calibration = calibration_for(parameters, config, extremes or {})
    served = unpack(SHAPE, pack(SHAPE, parameters, config, calibration))
    return FakeQuantizer(config, calibration), calibration, served


def check_all(parameters, options, extremes=None):
    quantizer, calibration, served = quantizer_for(parameters, options, extremes)
    ids = np.array([[3, 0, 49], [3, 7, 7]])
    table = tf.constant(parameters[WORD])
    rows = quantizer.rows(WORD, table, tf.gather(table, ids)).numpy()
    np.testing.assert_allclose(rows, served[WORD][ids], rtol=1e-6, atol=1e-7)
    for name, value in parameters.items():
        if name.endswith(".kernel") and value.size:
            kernel = quantizer.kernel(name, tf.constant(value)).numpy()
            factors = calibration.smoothing.get(stored_name(name)[:-7], np.ones(len(kernel)))
            np.testing.assert_allclose(
                kernel / factors[:, np.newaxis], served[name], rtol=1e-6, atol=1e-7, err_msg=name
            )


@EVERY_FORMAT
@pytest.mark.parametrize("per_channel", [True, False])
def test_matrices_and_rows_are_those_that_are_served(options, per_channel):
    check_all(random_parameters(SHAPE, pooler_size=16), {**options, "per_channel": per_channel})


@pytest.mark.parametrize("method", ["dynamic_int8", "static_int8"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_smoothed_matrices_are_those_that_are_served(method, per_channel):
    parameters = random_parameters(SHAPE, pooler_size=16)
    check_all(parameters, {"method": method, "per_channel": per_channel}, extremes_for(parameters))


@pytest.mark.parametrize("method", ["dynamic_int8", "static_int8"])
def test_smoothing_alone_changes_no_product(method):
    parameters = random_parameters(SHAPE)
    quantizer, calibration, _ = quantizer_for(parameters, {"method": method}, extremes_for(parameters))
    x = activations(2, 5, SHAPE.hidden_size) / 4
    kernel = parameters["layers.0.intermediate.kernel"]
    smoothed = quantizer.activation("layers.0.intermediate", tf.constant(x)).numpy()
    product = smoothed @ quantizer.kernel("layers.0.intermediate.kernel", tf.constant(kernel)).numpy()
    assert np.ptp(calibration.smoothing["layers.0.intermediate"]) > 1
    assert np.abs(product - x @ kernel).max() < 0.05 * np.abs(x @ kernel).max()


@EVERY_FORMAT
@pytest.mark.parametrize("per_channel", [True, False])
def test_pruned_matrices_are_those_that_are_served(options, per_channel):
    parameters = random_parameters(SHAPE)
    for name in SHAPE.kernel_names():
        parameters[name][np.abs(parameters[name]) < 0.2] = 0
    quantizer, *_ = quantizer_for(parameters, {**options, "per_channel": per_channel})
    for name in SHAPE.kernel_names():
        kernel = quantizer.kernel(name, tf.constant(parameters[name])).numpy() if parameters[name].size else 0
        assert not np.any(np.where(parameters[name] == 0, kernel, 0)), name
    check_all(parameters, {**options, "per_channel": per_channel})


@EVERY_FORMAT
def test_channels_of_zeros(options):
    parameters = random_parameters(SHAPE)
    parameters[WORD][7] = 0
    parameters["layers.0.output.kernel"][:, 3] = 0
    parameters["layers.1.query.kernel"][:] = 0
    check_all(parameters, options)


@EVERY_FORMAT
@pytest.mark.parametrize("per_channel", [True, False])
def test_gradients_of_weights_pass_straight_through(options, per_channel):
    parameters = random_parameters(SHAPE)
    quantizer, *_ = quantizer_for(parameters, {**options, "per_channel": per_channel})
    rng = np.random.default_rng(0)
    kernel, table = (tf.Variable(parameters[name]) for name in ("layers.0.key.kernel", WORD))
    ids = np.array([4, 9, 4])
    kernel_weights = rng.normal(size=kernel.shape).astype(np.float32)
    row_weights = rng.normal(size=(3, SHAPE.hidden_size)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantizer.kernel("layers.0.key.kernel", kernel) * kernel_weights)
        loss += tf.reduce_sum(quantizer.rows(WORD, table, tf.gather(table, ids)) * row_weights)
    of_kernel, of_table = tape.gradient(loss, [kernel, table])
    np.testing.assert_array_equal(of_kernel, kernel_weights)
    expected = np.zeros_like(parameters[WORD])
    np.add.at(expected, ids, row_weights)
    np.testing.assert_allclose(tf.convert_to_tensor(of_table), expected, rtol=1e-6)


def activations(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.3, 1.0, shape).astype(np.float32)


@pytest.mark.parametrize("options", [FORMATS["dynamic_int8"], FORMATS["kmeans 2"]], ids=["dynamic_int8", "kmeans"])
@pytest.mark.parametrize("shift", [-5.0, 0.0, 5.0])
def test_activations_take_256_values_between_their_ends(options, shift):
    """`DynamicQuantizeLinear`, by its definition in ONNX."""
    quantizer, x = FakeQuantizer(QuantizationConfig(**options), NOT_CALIBRATED), activations(1, 7, 16) + shift
    low, high = min(0.0, x.min()), max(0.0, x.max())
    scale = (high - low) / 255
    zero_point = np.rint(-low / scale)
    expected = (np.clip(np.rint(x / scale) + zero_point, 0, 255) - zero_point) * scale
    served = quantizer.activation("layers.0.output", tf.constant(x)).numpy()
    assert np.abs(served - expected).max() <= 1.01 * scale, "one step, where the ends are rounded"
    assert np.mean(np.abs(served - expected) > 1e-5) < 0.02
    assert np.abs(served - x).max() <= 0.501 * scale


@pytest.mark.parametrize("rank", [2, 3])
def test_a_message_has_a_scale_of_its_own(rank):
    quantizer = FakeQuantizer(QuantizationConfig(), NOT_CALIBRATED)
    sizes = np.array([0.1, 1.0, 10.0, 100.0], np.float32).reshape(4, *[1] * (rank - 1))
    x = activations(*(4, 16, 6)[:rank]) * sizes
    together = quantizer.activation("layers.0.output", tf.constant(x)).numpy()
    for row in range(4):
        alone = quantizer.activation("layers.0.output", tf.constant(x[row : row + 1])).numpy()
        np.testing.assert_array_equal(alone[0], together[row])


def test_padding_is_in_no_range():
    quantizer, x = FakeQuantizer(QuantizationConfig(), NOT_CALIBRATED), activations(3, 7, 16)
    _, mask = random_batch(SHAPE, lengths=(7, 4, 1))
    x[mask == 0] *= 100.0
    together = quantizer.activation("layers.0.output", tf.constant(x), tf.constant(mask)).numpy()
    for row, length in enumerate((7, 4, 1)):
        alone = quantizer.activation("layers.0.output", tf.constant(x[row : row + 1, :length])).numpy()
        np.testing.assert_array_equal(alone[0], together[row, :length])


def test_activations_that_are_all_zero():
    quantizer = FakeQuantizer(QuantizationConfig(), NOT_CALIBRATED)
    assert not quantizer.activation("layers.0.output", tf.zeros([2, 3, 4])).numpy().any()


def test_gradients_of_activations_pass_straight_through():
    quantizer, x = FakeQuantizer(QuantizationConfig(), NOT_CALIBRATED), tf.Variable(activations(2, 5, 8))
    weights = activations(2, 5, 8, seed=1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantizer.activation("layers.0.output", x) * weights)
    np.testing.assert_array_equal(tape.gradient(loss, x), weights)


def known_range(low, high):
    return Calibration(ranges={"layers.0.output": (low, high)})


@pytest.mark.parametrize("low, high", [(-1.7, 2.3), (0.0, 4.0), (-0.17, 9.0), (-3.0, 0.0)])
def test_known_ranges_give_what_quantize_linear_gives(low, high):
    quantizer = FakeQuantizer(QuantizationConfig(method="static_int8"), known_range(low, high))
    x = activations(3, 7, 16) * 3
    scale, zero_point = input_format(low, high)
    expected = (np.clip(np.rint(x / scale) + zero_point, 0, 255) - float(zero_point)) * scale
    served = quantizer.activation("layers.0.output", tf.constant(x)).numpy()
    assert np.abs(served - expected).max() <= 1.01 * scale
    assert np.mean(np.abs(served - expected) > 1e-4) < 0.02, "ties may be rounded either way"
    assert (np.abs(expected - x) > 2 * scale).any(), "some of it is out of range"


def test_gradients_of_activations_pass_within_a_known_range():
    quantizer = FakeQuantizer(QuantizationConfig(method="static_int8"), known_range(-1.0, 1.5))
    x, weights = tf.Variable(activations(2, 5, 8)), activations(2, 5, 8, seed=1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantizer.activation("layers.0.output", x) * weights)
    inside = (x.numpy() > -1.0) & (x.numpy() < 1.5)
    assert 0 < inside.mean() < 1
    np.testing.assert_array_equal(tape.gradient(loss, x), np.where(inside, weights, 0))


@pytest.mark.parametrize("ends", [(0.0, 0.0), (0.0, 1e-30), (-1e-30, 0.0)])
def test_a_known_range_of_nothing_but_zero(ends):
    """All neurons of a layer may be 0 on every calibration message."""
    quantizer = FakeQuantizer(QuantizationConfig(method="static_int8"), known_range(*ends))
    served = quantizer.activation("layers.0.output", tf.zeros([1, 2, 3])).numpy()
    np.testing.assert_array_equal(served, np.zeros((1, 2, 3)))


@pytest.mark.parametrize("name", ["dynamic_int8", "static_int8", "kmeans 2"])
@pytest.mark.parametrize("pooler_size", [0, 16])
def test_a_message_does_not_depend_on_its_batch(name, pooler_size):
    parameters = random_parameters(SHAPE, pooler_size=pooler_size, num_tags=5)
    parameters[WORD][0] = 1000.0 * (np.arange(SHAPE.hidden_size) == 3)  # padding has the largest activations
    quantizer, *_ = quantizer_for(parameters, FORMATS[name], extremes_for(parameters))
    model = TaskModel(SHAPE, parameters, quantizer=quantizer)
    lengths = (8, 8, 3, 1)
    ids, mask = random_batch(SHAPE, lengths=lengths)
    together = model(ids, mask)
    for row, length in enumerate(lengths):
        alone = model(ids[row : row + 1, :length], mask[row : row + 1, :length])
        np.testing.assert_allclose(alone.heads["logits"][0], together.heads["logits"][row], atol=1e-3)
        np.testing.assert_allclose(alone.heads["tag_logits"][0], together.heads["tag_logits"][row, :length], atol=1e-3)
    assert np.ptp(together.heads["logits"], axis=0).max() > 0.1


def test_quantization_changes_the_model_the_more_the_fewer_bits_there_are():
    parameters = random_parameters(SHAPE)
    ids, mask = random_batch(SHAPE, lengths=(8, 8, 8))
    exact = TaskModel(SHAPE, parameters)(ids, mask).heads["logits"].numpy()
    errors = []
    for bits in (1, 2, 4, 8):
        options = {"method": "kmeans", "encoder_bits": bits, "embedding_bits": bits}
        quantizer, *_ = quantizer_for(parameters, options)
        errors.append(
            np.abs(TaskModel(SHAPE, parameters, quantizer=quantizer)(ids, mask).heads["logits"] - exact).mean()
        )
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.1 * errors[0]
