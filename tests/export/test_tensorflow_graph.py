"""The TensorFlow graph computes what the Keras model computes, from the packed tensors."""

import numpy as np
import pytest
import tensorflow as tf
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import TENSORFLOW_GRAPH, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.export.packing import pack, unpack
from rasa_compressed_bert.export.tensorflow_graph import to_graph_def
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.tensorflow_engine import TensorflowEngine

SHAPES = {
    "dense": {},
    "uneven": {"layers": UNEVEN},
    "gelu_new": {"hidden_act": "gelu_new"},
    "relu": {"layers": UNEVEN, "hidden_act": "relu"},
    "relative positions": {"layers": UNEVEN, "relative_buckets": 32},
    "narrow embeddings": {"layers": UNEVEN, "embedding_size": 24},
    "token types": {"layers": UNEVEN, "separator": 7},
    "no layers": {"layers": ()},
    "no heads at all": {"layers": ((0, 0, 0, 16), (0, 0, 0, 0))},
}
CASES = [
    *((name, 0, {"method": "none"}) for name in SHAPES),
    *(("uneven", 16, {"method": "dynamic_int8", "per_channel": per_channel}) for per_channel in (True, False)),
]


def engine_of(shape, tensors):
    files = {TENSORFLOW_GRAPH: to_graph_def(shape, tensors), WEIGHTS: tensors_to_bytes(tensors)}
    return TensorflowEngine(Artifact({}, files))


@pytest.mark.parametrize("name, pooler_size, options", CASES)
def test_logits_equal_those_of_the_model_of_these_weights(name, pooler_size, options):
    shape = random_shape(**SHAPES[name])
    tensors = pack(shape, random_parameters(shape, pooler_size=pooler_size), QuantizationConfig(**options))
    engine, model = engine_of(shape, tensors), TaskModel(shape, unpack(shape, tensors))
    for lengths in ((9, 4, 1), (3,), (40, 40), (17,)):
        ids, mask = random_batch(shape, lengths=lengths)
        np.testing.assert_allclose(engine.run(ids, mask)[0], model(ids, mask).heads["logits"], atol=1e-5)


def test_hidden_states():
    shape = random_shape(UNEVEN)
    parameters = {name: value for name, value in random_parameters(shape).items() if "classifier" not in name}
    tensors = pack(shape, parameters, QuantizationConfig(method="none"))
    ids, mask = random_batch(shape)
    states = engine_of(shape, tensors).run(ids, mask)[0]
    np.testing.assert_allclose(states, BertEncoder(shape, parameters)(ids, mask)[-1], atol=1e-5)


def test_a_square_embedding_matrix():
    """The scales of its rows are not taken for scales of columns."""
    shape = random_shape(vocab_size=32)
    tensors = pack(shape, random_parameters(shape), QuantizationConfig(method="dynamic_int8"))
    ids, mask = random_batch(shape)
    expected = TaskModel(shape, unpack(shape, tensors))(ids, mask).heads["logits"]
    np.testing.assert_allclose(engine_of(shape, tensors).run(ids, mask)[0], expected, atol=1e-5)


def test_graph_holds_no_weights_and_reads_all_that_are_stored():
    shape = random_shape(UNEVEN)
    tensors = pack(shape, random_parameters(shape), QuantizationConfig(method="dynamic_int8"))
    data = to_graph_def(shape, tensors)
    assert len(data) < 100_000 and to_graph_def(shape, tensors) == data
    graph = tf.compat.v1.GraphDef.FromString(data)
    constants = [tf.make_ndarray(node.attr["value"].tensor) for node in graph.node if node.op == "Const"]
    assert max(constant.size for constant in constants) <= 4
    assert not any("Var" in node.op for node in graph.node)
    read = {node.name.split("/")[0] for node in graph.node if node.op == "Placeholder"}
    stored = {name for name in tensors if not name.endswith(".scale")}
    assert read == {*stored, "input_ids", "attention_mask"}
