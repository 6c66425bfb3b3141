"""Importance scores equal the sums that define them."""

import numpy as np
import tensorflow as tf
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.compression.importance import magnitude_scores, taylor_scores, with_head_gradients
from rasa_compressed_bert.models.gates import open_gates, per_example
from rasa_compressed_bert.models.task_model import TaskModel

SHAPE = random_shape(((4, 8, 8, 24), (3, 5, 8, 16)))
PARAMETERS = random_parameters(SHAPE)


def loss_of(model, ids, mask, classes, gates):
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, model(ids, mask, gates=gates).heads["logits"])
    return tf.reduce_sum(losses)


def test_taylor_scores_equal_a_loop_over_examples():
    model = TaskModel(SHAPE, PARAMETERS)
    ids, mask = random_batch(SHAPE, lengths=(9, 4, 2, 6))
    classes = np.array([0, 3, 1, 4])
    variables = [{kind: tf.Variable(gate) for kind, gate in layer.items()} for layer in open_gates(SHAPE)]
    gates = per_example(variables, 4)
    with tf.GradientTape() as tape:
        tape.watch(gates)
        loss = loss_of(model, ids, mask, classes, gates)
    scores = taylor_scores(with_head_gradients(tape.gradient(loss, gates)))

    expected = [dict.fromkeys(("attention_heads", "intermediate", "query_key", "value"), 0.0) for _ in SHAPE.layers]
    for row, length in enumerate((9, 4, 2, 6)):
        one = slice(row, row + 1)
        with tf.GradientTape() as tape:  # one unpadded message, and the gates themselves, not copies
            ungated = [{kind: gate[tf.newaxis] for kind, gate in layer.items()} for layer in variables]
            loss = loss_of(model, ids[one, :length], mask[one, :length], classes[one], ungated)
        for layer, gradients in zip(expected, tape.gradient(loss, variables)):
            layer["attention_heads"] += np.array(
                [gradients["value"][head].numpy().sum() ** 2 for head in range(len(gradients["value"]))]
            )
            for kind in ("intermediate", "query_key", "value"):
                layer[kind] += gradients[kind].numpy() ** 2
    for layer, score in zip(expected, scores):
        assert set(layer) == set(score)
        for kind, value in layer.items():
            assert value.max() > 1e-6
            np.testing.assert_allclose(score[kind], value, rtol=1e-3, atol=1e-8)


def test_magnitude_scores_equal_a_loop_over_units():
    scores = magnitude_scores(SHAPE, PARAMETERS)
    for index, layer in enumerate(SHAPE.layers):
        kernels = {name: PARAMETERS[f"layers.{index}.{name}.kernel"] for name in layer.kernel_shapes(32)}
        for neuron in range(layer.intermediate_size):
            expected = (kernels["intermediate"][:, neuron] ** 2).sum() + (kernels["output"][neuron] ** 2).sum()
            np.testing.assert_allclose(scores[index]["intermediate"][neuron], expected, rtol=1e-5)
        for head in range(layer.num_attention_heads):
            whole = 0.0
            for dimension in range(layer.query_key_size):
                column = head * layer.query_key_size + dimension
                expected = (kernels["query"][:, column] ** 2).sum() + (kernels["key"][:, column] ** 2).sum()
                np.testing.assert_allclose(scores[index]["query_key"][head, dimension], expected, rtol=1e-5)
                whole += expected
            for dimension in range(layer.value_size):
                column = head * layer.value_size + dimension
                expected = (kernels["value"][:, column] ** 2).sum() + (kernels["attention_output"][column] ** 2).sum()
                np.testing.assert_allclose(scores[index]["value"][head, dimension], expected, rtol=1e-5)
                whole += expected
            np.testing.assert_allclose(scores[index]["attention_heads"][head], whole, rtol=1e-5)


def test_magnitude_scores_of_layers_that_lost_their_units():
    shape = random_shape(UNEVEN)
    scores = magnitude_scores(shape, random_parameters(shape))
    assert scores[2]["attention_heads"].shape == (0,) and scores[3]["intermediate"].shape == (0,)


def test_scores_of_the_pooler():
    parameters = random_parameters(SHAPE, pooler_size=12)
    scores = magnitude_scores(SHAPE, parameters)
    for neuron in range(12):
        expected = (parameters["pooler.kernel"][:, neuron] ** 2).sum() + (
            parameters["classifier.kernel"][neuron] ** 2
        ).sum()
        np.testing.assert_allclose(scores[-1]["pooler"][neuron], expected, rtol=1e-5)

    model = TaskModel(SHAPE, parameters)
    ids, mask = random_batch(SHAPE)
    gates = per_example(open_gates(SHAPE, 12), 3)
    with tf.GradientTape() as tape:
        tape.watch(gates)
        loss = loss_of(model, ids, mask, np.array([0, 1, 2]), gates)
    gradient = tape.gradient(loss, gates)[-1]["pooler"].numpy()
    features = model.head_inputs(ids, mask)["features"].numpy()
    logits = features @ parameters["classifier.kernel"] + parameters["classifier.bias"]
    error = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - np.eye(5)[:3]
    by_hand = features * (error @ parameters["classifier.kernel"].T)
    np.testing.assert_allclose(gradient, by_hand, atol=1e-5)
    np.testing.assert_allclose(taylor_scores([{"pooler": gradient}])[0]["pooler"], (by_hand**2).sum(axis=0), atol=1e-5)


def test_scores_of_the_pooler_count_all_heads_that_read_it():
    parameters = random_parameters(SHAPE, num_tags=3, pooler_size=12)
    before = magnitude_scores(SHAPE, parameters)[-1]["pooler"]
    selector = {"selector.kernel": np.arange(24.0).reshape(12, 2), "selector.bias": np.zeros(2)}
    scores = magnitude_scores(SHAPE, {**parameters, **selector})[-1]["pooler"]
    np.testing.assert_allclose(scores - before, (selector["selector.kernel"] ** 2).sum(axis=1), rtol=1e-5)
