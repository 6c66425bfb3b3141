"""AdamW and its learning rate schedule equal their formulas."""

import numpy as np
import pytest
import tensorflow as tf

from rasa_compressed_bert.training.optimizer import AdamW, WarmUpLinearDecay


def test_schedule_rises_for_a_tenth_and_falls_to_zero():
    schedule = WarmUpLinearDecay(2.0, 999)
    rates = np.array([float(schedule(step)) for step in range(999)])
    assert 0.0 < rates[0] == pytest.approx(2.0 / 100)
    assert rates.argmax() == 99 and rates.max() == pytest.approx(2.0)
    assert 0.0 < rates[-1] == pytest.approx(2.0 / 900, rel=1e-3)
    np.testing.assert_allclose(np.diff(rates[:100]), 0.02, rtol=1e-3)
    np.testing.assert_allclose(np.diff(rates[100:]), -2.0 / 900, rtol=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_schedule_of_few_steps_is_positive(steps):
    schedule = WarmUpLinearDecay(1.0, steps)
    assert all(0.0 < float(schedule(step)) <= 1.0 for step in range(steps))


def test_schedule_can_be_taken_over():
    whole, rest = WarmUpLinearDecay(1.0, 50), WarmUpLinearDecay(1.0, 50, first_step=20)
    assert [float(rest(step)) for step in range(30)] == [float(whole(step)) for step in range(20, 50)]


def test_equals_numpy():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=size) for size in ((5, 3), (4,))]
    gradients = [[scale * rng.normal(size=value.shape) for value in values] for scale in (0.01, 0.1, 3.0, 1e-4, 1.0)]
    schedule = WarmUpLinearDecay(0.1, 5)

    variables = [tf.Variable(value, dtype=tf.float32) for value in values]
    optimizer = AdamW(variables, schedule)
    for step in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32) for gradient in step])

    first, second = ([np.zeros_like(value) for value in values] for _ in range(2))
    for step, step_gradients in enumerate(gradients):
        norm = np.sqrt(sum((gradient**2).sum() for gradient in step_gradients))
        rate = float(schedule(step))
        for index, gradient in enumerate(step_gradients):
            clipped = gradient * min(1.0, 1.0 / norm)
            first[index] = 0.9 * first[index] + 0.1 * clipped
            second[index] = 0.999 * second[index] + 0.001 * clipped**2
            # Keras adds epsilon to the root of the second moment before the bias correction
            correction = np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            values[index] = values[index] - rate * correction * first[index] / (np.sqrt(second[index]) + 1e-7)
            if values[index].ndim == 2:
                values[index] = values[index] * (1 - rate * 0.01)
    for variable, value in zip(variables, values):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-4, atol=1e-5)


def test_only_matrices_decay():
    variables = [tf.Variable(tf.ones([2, 2])), tf.Variable(tf.ones([2]))]
    AdamW(variables, WarmUpLinearDecay(0.5, 9)).apply([tf.zeros([2, 2]), tf.zeros([2])])
    np.testing.assert_allclose(variables[0].numpy(), 1 - 0.5 * 0.01, rtol=1e-6)
    np.testing.assert_array_equal(variables[1].numpy(), 1.0)
