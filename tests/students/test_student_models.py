"""Students in Keras, and their served graphs."""

import numpy as np
import pytest
import tensorflow as tf

from rasa_compressed_bert.artifact.artifact import GRAPH, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import QuantizationConfig, student_of, student_options
from rasa_compressed_bert.export.packing import pack_each
from rasa_compressed_bert.runtime.onnxruntime_engine import OnnxRuntimeEngine

IDS = np.random.default_rng(1).integers(0, 50, (3, 9)).astype(np.int32)
MASK = np.array([[1] * 9, [1] * 5 + [0] * 4, [1] + [0] * 8], np.int32)
SIZES = {
    "bilstm max": {"architecture": "bilstm", "hidden_size": 6, "dense_size": 8, "pooling": "max"},
    "bilstm last": {"architecture": "bilstm", "hidden_size": 6, "dense_size": 8, "pooling": "last"},
    "ngrams": {"architecture": "ngrams", "buckets": 70},
}
every_student = pytest.mark.parametrize("name", SIZES)


def student(name):
    options = student_options(SIZES[name])
    kind = student_of(options.architecture)
    rng = np.random.default_rng(0)
    parameters = kind.parameters(rng.normal(size=(50, 10)).astype(np.float32), options, num_classes=4, seed=0)
    if name == "ngrams":
        parameters["embeddings.pair"] = rng.normal(size=(70, 10)).astype(np.float32)
    return options, kind.layer(parameters, options, wordpieces=np.arange(50), dropout=None)


def logits_of(model):
    return model(IDS, MASK).heads["logits"].numpy()


def served(options, model, *, ids=IDS, mask=MASK, **format):
    tensors = pack_each(model.values(), QuantizationConfig(**format))
    graph = student_of(options.architecture).graph(options, tensors)
    files = {GRAPH: graph.proto.SerializeToString(), WEIGHTS: tensors_to_bytes(tensors)}
    engine = OnnxRuntimeEngine(Artifact({"graph_weights": graph.weights}, files))
    return engine.run(ids.astype(np.int64), mask.astype(np.int64))[0]


@every_student
def test_floats_are_served_as_they_are(name):
    options, model = student(name)
    np.testing.assert_allclose(served(options, model, method="none"), logits_of(model), atol=1e-5)


@every_student
@pytest.mark.parametrize("per_channel", [True, False])
def test_int8_is_near(name, per_channel):
    options, model = student(name)
    expected = logits_of(model)
    distance = np.abs(served(options, model, method="dynamic_int8", per_channel=per_channel) - expected)
    assert distance.max() < 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("pooling", ["max", "last"])
@pytest.mark.parametrize("size", [1, 37, 50, 64])
def test_int8_bilstm_of_any_size_is_near_for_long_messages(size, pooling, per_channel):
    """On processors with AMX, ONNX Runtime is wrong from 32 wordpieces on, if the size is not a multiple of 4."""
    options = student_options({"architecture": "bilstm", "hidden_size": size, "dense_size": 8, "pooling": pooling})
    rng = np.random.default_rng(0)
    parameters = student_of("bilstm").parameters(rng.normal(size=(50, 33)), options, num_classes=4, seed=0)
    model = student_of("bilstm").layer(parameters, options, wordpieces=np.arange(50), dropout=None)
    ids = rng.integers(0, 50, (1, 64)).astype(np.int32)
    expected = model(ids, np.ones_like(ids)).heads["logits"].numpy()
    form = {"method": "dynamic_int8", "per_channel": per_channel}
    distance = np.abs(served(options, model, ids=ids, mask=np.ones_like(ids), **form) - expected)
    assert distance.max() < 0.1 * np.abs(expected).max()


def test_int8_kernels_of_a_bilstm_are_padded_to_16_columns():
    options, model = student("bilstm max")
    graph = student_of("bilstm").graph(options, pack_each(model.values(), QuantizationConfig()))
    nodes = [node for node in graph.proto.graph.node if node.op_type == "DynamicQuantizeLSTM"]
    sizes = [attribute.i for node in nodes for attribute in node.attribute if attribute.name == "hidden_size"]
    assert options.hidden_size == 6 and sizes == [8, 8]


@every_student
def test_padding_changes_nothing(name):
    _, model = student(name)
    for row, mask, logits in zip(IDS, MASK, logits_of(model)):
        alone = model(row[np.newaxis, : mask.sum()], np.ones((1, mask.sum()), np.int32)).heads["logits"][0]
        np.testing.assert_allclose(alone, logits, atol=1e-5)


@every_student
def test_every_variable_has_a_gradient(name):
    _, model = student(name)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(IDS, MASK).heads["logits"]))
    gradients = tape.gradient(loss, model.variables_in_order())
    assert all(float(tf.reduce_sum(tf.abs(tf.convert_to_tensor(gradient)))) > 0 for gradient in gradients)


@every_student
def test_values_can_be_put_back(name):
    _, model = student(name)
    before, expected = model.values(), logits_of(model)
    model.assign({key: value + 1.0 for key, value in before.items()})
    assert np.abs(logits_of(model) - expected).max() > 0.1
    model.assign(before)
    np.testing.assert_array_equal(logits_of(model), expected)


@pytest.mark.parametrize("pooling", ["max", "last"])
def test_bilstm_is_that_of_keras(pooling):
    """Keras orders the gates i, f, c, o; we use ONNX's order i, o, f, c."""
    _, model = student(f"bilstm {pooling}")
    values, size = model.values(), 6
    states = []
    for direction in ("forward", "backward"):
        layer = tf.keras.layers.LSTM(size, return_sequences=True, go_backwards=direction == "backward")
        layer.build((None, None, 10))
        order = np.concatenate([np.arange(gate * size, (gate + 1) * size) for gate in (0, 2, 3, 1)])
        layer.set_weights(
            [values[f"{direction}.{name}"][..., order] for name in ("input.kernel", "recurrent.kernel", "bias")]
        )
        states.append(layer(values["embeddings.word"][IDS[:1]])[0].numpy())
    if pooling == "max":
        pooled = np.concatenate([part.max(axis=0) for part in states])
    else:
        pooled = np.concatenate([part[-1] for part in states])
    hidden = np.maximum(pooled @ values["dense.kernel"] + values["dense.bias"], 0.0)
    expected = hidden @ values["classifier.kernel"] + values["classifier.bias"]
    np.testing.assert_allclose(logits_of(model)[0], expected, atol=1e-5)


def test_ngrams_count_pairs_in_their_order():
    _, model = student("ngrams")
    orders = (np.array([ids], np.int32) for ids in ([1, 2, 3], [3, 2, 1]))
    one, other = (model(ids, np.ones((1, 3), np.int32)).heads["logits"] for ids in orders)
    assert np.abs(one - other).max() > 1e-3
