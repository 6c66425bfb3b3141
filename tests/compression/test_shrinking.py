"""Closed gates switch units off, and shrinking removes the same units from the matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.compression.shrinking import keep_layers, require_layers, shrink
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.models.gates import open_gates, per_example
from rasa_compressed_bert.models.task_model import TaskModel

SHAPE = random_shape(((4, 8, 8, 24), (3, 5, 8, 16)))
PARAMETERS = random_parameters(SHAPE)
MODEL = TaskModel(SHAPE, PARAMETERS)
IDS, MASK = random_batch(SHAPE)


def gated(gates):
    return MODEL(IDS, MASK, gates=per_example(gates, len(IDS))).heads["logits"].numpy()


def random_gates(seed, shares):
    """Gates that are open with a given probability per kind; 0 closes and 1 opens all of a kind."""
    rng = np.random.default_rng(seed)
    return [
        {kind: (rng.random(gate.shape) < shares[kind]).astype(np.float32) for kind, gate in layer.items()}
        for layer in open_gates(SHAPE)
    ]


share = st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.fixed_dictionaries({"query_key": share, "value": share, "intermediate": share}))
def test_shrunk_model_equals_the_gated_one(seed, shares):
    gates = random_gates(seed, shares)
    shape, parameters = shrink(SHAPE, PARAMETERS, gates)
    assert {name: value.shape for name, value in parameters.items() if name in shape.parameter_shapes()} == dict(
        shape.parameter_shapes()
    )
    logits = TaskModel(shape, parameters)(IDS, MASK).heads["logits"]
    np.testing.assert_allclose(logits, gated(gates), atol=1e-5)


def test_heads_that_are_left_keep_their_biases_for_positions():
    shape = random_shape(((4, 8, 8, 24), (3, 5, 8, 16)), relative_buckets=8)
    parameters, gates = random_parameters(shape), random_gates(4, {"query_key": 0.7, "value": 1.0, "intermediate": 0.7})
    for layer, head in ((0, 1), (0, 3), (1, 0)):
        gates[layer]["value"][head] = 0
    left, shrunk = shrink(shape, parameters, gates)
    np.testing.assert_array_equal(shrunk["layers.0.position_bias"], parameters["layers.0.position_bias"][[0, 2]])
    assert {name: value.shape for name, value in shrunk.items() if "classifier" not in name} == left.parameter_shapes()
    expected = TaskModel(shape, parameters)(IDS, MASK, gates=per_example(gates, len(IDS))).heads["logits"]
    np.testing.assert_allclose(TaskModel(left, shrunk)(IDS, MASK).heads["logits"], expected, atol=1e-5)


def test_layers_that_are_kept_compute_what_they_did():
    states = MODEL(IDS, MASK).states
    for layers, expected in (([0], states[:2]), ([0, 1], states)):
        shape, parameters = keep_layers(SHAPE, PARAMETERS, layers)
        for ours, theirs in zip(TaskModel(shape, parameters)(IDS, MASK).states, expected):
            np.testing.assert_array_equal(ours, theirs)
    shape, parameters = keep_layers(SHAPE, PARAMETERS, [1, 0])
    assert shape.layers == SHAPE.layers[::-1] and len(parameters) == len(PARAMETERS)
    for name in ("query.kernel", "output.bias", "output_norm.gamma"):
        np.testing.assert_array_equal(parameters[f"layers.0.{name}"], PARAMETERS[f"layers.1.{name}"])


def test_layers_that_are_not_there():
    require_layers(None, SHAPE)
    require_layers([1, 0], SHAPE)
    with pytest.raises(ConfigError, match=r"pruning.layers: \[0, 2\] names layers that do not exist; .* 0 to 1"):
        require_layers([0, 2], SHAPE)


def test_everything_closed_leaves_no_units():
    gates = [{kind: np.zeros_like(gate) for kind, gate in layer.items()} for layer in open_gates(SHAPE)]
    shape, parameters = shrink(SHAPE, PARAMETERS, gates)
    assert shape.encoder_size() == 0
    np.testing.assert_allclose(TaskModel(shape, parameters)(IDS, MASK).heads["logits"], gated(gates), atol=1e-5)


def test_open_gates_change_nothing():
    np.testing.assert_allclose(gated(open_gates(SHAPE)), MODEL(IDS, MASK).heads["logits"], atol=1e-6)
    shape, parameters = shrink(SHAPE, PARAMETERS, open_gates(SHAPE))
    assert shape == SHAPE
    for name, value in PARAMETERS.items():
        np.testing.assert_array_equal(parameters[name], value)


def test_head_of_which_all_values_are_closed_goes_whole():
    gates = open_gates(SHAPE)
    gates[0]["value"][2] = 0
    shape, parameters = shrink(SHAPE, PARAMETERS, gates)
    assert shape.layers[0].num_attention_heads == 3
    kernel = PARAMETERS["layers.0.query.kernel"]
    np.testing.assert_array_equal(parameters["layers.0.query.kernel"], np.delete(kernel, np.s_[16:24], axis=1))


def test_heads_keep_the_width_of_the_widest():
    gates = open_gates(SHAPE)
    gates[0]["value"][0, 1:] = 0
    gates[0]["value"][1, 3:] = 0
    gates[0]["value"][2:] = 0
    shape, parameters = shrink(SHAPE, PARAMETERS, gates)
    assert (shape.layers[0].num_attention_heads, shape.layers[0].value_size) == (2, 3)
    columns = parameters["layers.0.value.kernel"].any(axis=0)
    assert columns.tolist() == [True, False, False, True, True, True]


def test_parameters_of_the_head_pass_through():
    gates = random_gates(1, {"query_key": 0.5, "value": 0.5, "intermediate": 0.5})
    _, parameters = shrink(SHAPE, PARAMETERS, gates)
    np.testing.assert_array_equal(parameters["classifier.kernel"], PARAMETERS["classifier.kernel"])


def test_shrinking_does_not_touch_what_it_was_given():
    before = {name: value.copy() for name, value in PARAMETERS.items()}
    shrink(SHAPE, PARAMETERS, random_gates(2, {"query_key": 0.5, "value": 0.5, "intermediate": 0.5}))
    for name, value in before.items():
        np.testing.assert_array_equal(PARAMETERS[name], value)


@pytest.mark.parametrize("kind", ["query_key", "value", "intermediate"])
def test_a_gate_of_zero_equals_weights_of_zero(kind):
    """The definition of a unit, independent of `shrink`."""
    gates = open_gates(SHAPE)
    gates[1][kind][..., 1] = 0
    parameters = {name: value.copy() for name, value in PARAMETERS.items()}
    if kind == "query_key":
        parameters["layers.1.query.kernel"][:, 1::5] = 0
        parameters["layers.1.query.bias"][1::5] = 0
    elif kind == "value":
        parameters["layers.1.attention_output.kernel"][1::8] = 0
    else:
        parameters["layers.1.output.kernel"][1] = 0
    expected = TaskModel(SHAPE, parameters)(IDS, MASK).heads["logits"].numpy()
    assert np.abs(expected - MODEL(IDS, MASK).heads["logits"]).max() > 1e-4
    np.testing.assert_allclose(gated(gates), expected, atol=1e-5)


def test_each_example_may_have_gates_of_its_own():
    gates = per_example(open_gates(SHAPE), len(IDS))
    closed = [{kind: gate.numpy() for kind, gate in layer.items()} for layer in gates]
    closed[0]["intermediate"][1] = 0
    difference = np.abs(MODEL(IDS, MASK, gates=closed).heads["logits"] - MODEL(IDS, MASK).heads["logits"]).max(axis=1)
    assert difference[1] > 1e-4 and difference[0] < 1e-6 and difference[2] < 1e-6


def test_gates_of_layers_that_lost_their_units():
    shape = random_shape(UNEVEN)
    model = TaskModel(shape, random_parameters(shape))
    np.testing.assert_allclose(
        model(IDS, MASK, gates=per_example(open_gates(shape), 3)).heads["logits"],
        model(IDS, MASK).heads["logits"],
        atol=1e-6,
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.6]))
def test_shrunk_pooler_equals_the_gated_one(seed, open_share):
    parameters = random_parameters(SHAPE, pooler_size=16)
    gates = open_gates(SHAPE, pooler_size=16)
    gates[-1]["pooler"] = (np.random.default_rng(seed).random(16) < open_share).astype(np.float32)
    gates[-1]["pooler"][3] = 1.0  # a pooler never loses all its neurons
    model = TaskModel(SHAPE, parameters)
    shape, shrunk = shrink(SHAPE, parameters, gates)
    left = TaskModel(shape, shrunk)
    assert shape == SHAPE and left.pooler_size == gates[-1]["pooler"].sum()
    expected = model(IDS, MASK, gates=per_example(gates, len(IDS))).heads["logits"]
    np.testing.assert_allclose(left(IDS, MASK).heads["logits"], expected, atol=1e-5)


def test_a_shrunk_pooler_fits_all_heads_that_read_it():
    """Responses of retrieval intents are selected from the same features as intents."""
    parameters = random_parameters(SHAPE, num_tags=3, pooler_size=16)
    rng = np.random.default_rng(5)
    parameters["selector.kernel"] = rng.normal(0.0, 0.2, (16, 4)).astype(np.float32)
    parameters["selector.bias"] = rng.normal(0.0, 0.2, 4).astype(np.float32)
    gates = open_gates(SHAPE, pooler_size=16)
    gates[-1]["pooler"] = (np.arange(16) % 3 == 0).astype(np.float32)
    expected = TaskModel(SHAPE, parameters)(IDS, MASK, gates=per_example(gates, len(IDS))).heads
    shape, shrunk = shrink(SHAPE, parameters, gates)
    found = TaskModel(shape, shrunk)(IDS, MASK).heads
    for name in ("logits", "response_logits", "tag_logits"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
