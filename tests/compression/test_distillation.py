"""The distillation loss, computed by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from rasa_compressed_bert.compression.distillation import (
    distillation_loss,
    divergence_loss,
    hidden_state_loss,
    logit_loss,
    probability_loss,
)

# softmax(log p) = p: the student predicts (1/4, 3/4), the teacher (1/2, 1/2), and the label is class 0
STUDENT = np.log(np.array([[0.25, 0.75]], np.float32))
TEACHER = np.log(np.array([[0.5, 0.5]], np.float32))
HARD = math.log(4)
SOFT = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)


def loss(student, teacher, alpha, temperature, classes=(0,)):
    return distillation_loss(
        tf.constant(student), tf.constant(classes), tf.constant(teacher), alpha=alpha, temperature=temperature
    )


@pytest.mark.parametrize("alpha, expected", [(1.0, HARD), (0.0, SOFT), (0.3, 0.3 * HARD + 0.7 * SOFT)])
def test_mixture_at_temperature_1(alpha, expected):
    assert loss(STUDENT, TEACHER, alpha, 1.0).numpy() == pytest.approx([expected], abs=1e-6)


def test_temperature_softens_both_and_its_square_is_the_factor():
    """At T = 2 the student's odds of 1 : 3 become 1 : sqrt(3)."""
    student = np.array([1.0, math.sqrt(3.0)]) / (1.0 + math.sqrt(3.0))
    expected = 4.0 * sum(0.5 * math.log(0.5 / p) for p in student)
    assert loss(STUDENT, TEACHER, 0.0, 2.0).numpy() == pytest.approx([expected], abs=1e-6)


def test_labels_are_not_softened():
    assert loss(STUDENT, TEACHER, 1.0, 7.0).numpy() == pytest.approx([HARD], abs=1e-6)


def test_the_teacher_is_not_read_if_alpha_is_1():
    np.testing.assert_allclose(loss(STUDENT, np.zeros((1, 1), np.float32), 1.0, 2.0), [HARD], atol=1e-6)


def gradient(student, teacher, alpha, temperature):
    logits = tf.Variable(student)
    with tf.GradientTape() as tape:
        value = distillation_loss(
            logits, tf.zeros(len(student), tf.int32), tf.constant(teacher), alpha=alpha, temperature=temperature
        )
    return tape.gradient(value, logits).numpy()


def test_a_student_that_equals_its_teacher_has_nothing_to_learn():
    logits = np.random.default_rng(0).normal(0, 3, (4, 6)).astype(np.float32)
    assert np.abs(gradient(logits, logits, 0.0, 2.0)).max() < 1e-6
    assert np.abs(loss(logits, logits, 0.0, 2.0, classes=(0, 1, 2, 3))).max() < 1e-5
    assert np.abs(gradient(logits, logits + 3.0, 0.0, 2.0)).max() < 1e-6, "logits are equal up to a constant"


def test_gradient_keeps_its_size_when_temperature_rises():
    """At high T it is the difference of the centred logits divided by C, whatever T is (Hinton et al., eq. 4)."""
    rng = np.random.default_rng(1)
    student, teacher = (rng.normal(size=(1, 5)).astype(np.float32) for _ in range(2))
    difference = student - teacher
    expected = (difference - difference.mean()) / 5
    for temperature in (100.0, 200.0):
        np.testing.assert_allclose(gradient(student, teacher, 0.0, temperature), expected, atol=0.02)


def test_one_loss_an_example():
    student = np.concatenate([STUDENT, TEACHER])
    both = loss(student, np.concatenate([TEACHER, TEACHER]), 0.0, 1.0, classes=(0, 1)).numpy()
    np.testing.assert_allclose(both, [SOFT, 0.0], atol=1e-6)


def test_hidden_state_loss_equals_a_loop():
    rng = np.random.default_rng(2)
    student, teacher = ([rng.normal(size=(3, 5, 4)).astype(np.float32) for _ in range(2)] for _ in range(2))
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], np.int32)
    expected = [
        np.mean(
            [
                ((ours[row, :length] - theirs[row, :length]) ** 2).sum() / (theirs[row, :length] ** 2).sum()
                for ours, theirs in zip(student, teacher)
            ]
        )
        for row, length in enumerate((5, 2, 1))
    ]
    np.testing.assert_allclose(hidden_state_loss(student, teacher, mask), expected, rtol=1e-5)


def test_hidden_state_loss_of_equal_states_is_zero():
    states = [np.ones((2, 3, 4), np.float32)]
    np.testing.assert_array_equal(hidden_state_loss(states, states, np.ones((2, 3), np.int32)), 0.0)


def test_squared_distance_of_logits():
    """(2^2 + 1^2) / 2"""
    assert logit_loss(tf.constant([[1.0, 3.0]]), tf.constant([[3.0, 2.0]])).numpy() == pytest.approx([2.5])


def test_squared_distance_of_probabilities():
    """(1/4)^2 + (1/4)^2; at T = 2, the odds 1 : 3 are 1 : sqrt(3)."""
    distance = probability_loss(tf.constant(STUDENT), tf.constant(TEACHER), temperature=1.0)
    assert distance.numpy() == pytest.approx([0.125], abs=1e-6)
    share = 1.0 / (1.0 + math.sqrt(3.0))
    distance = probability_loss(tf.constant(STUDENT), tf.constant(TEACHER), temperature=2.0)
    assert distance.numpy() == pytest.approx([4.0 * 2.0 * (0.5 - share) ** 2], abs=1e-6)


@pytest.mark.parametrize(
    "distance",
    [
        logit_loss,
        lambda logits, targets: probability_loss(logits, targets, temperature=3.0),
        lambda logits, targets: divergence_loss(logits, targets, temperature=3.0),
    ],
    ids=["logits", "probabilities", "divergence"],
)
def test_gradient_is_zero_at_equal_logits_and_not_elsewhere(distance):
    rng = np.random.default_rng(0)
    targets = tf.constant(rng.normal(0, 3, (4, 6)), tf.float32)
    for logits, zero in ((tf.Variable(targets), True), (tf.Variable(targets[:, ::-1]), False)):
        with tf.GradientTape() as tape:
            value = distance(logits, targets)
        assert (np.abs(tape.gradient(value, logits)).max() < 1e-6) == zero
