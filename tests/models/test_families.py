"""Every family of encoders computes what transformers' class computes: dense, pruned and exported."""

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import transformers
from random_models import pytorch_tensors, random_batch
from safetensors.numpy import save_file

from rasa_compressed_bert.artifact.artifact import GRAPH, TENSORFLOW_GRAPH, TFLITE_MODEL, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.compression.quantization import calibration_for
from rasa_compressed_bert.compression.shrinking import shrink
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.export.onnx_graph import onnx_model
from rasa_compressed_bert.export.packing import pack, unpack
from rasa_compressed_bert.export.parity import check_features
from rasa_compressed_bert.export.tensorflow_graph import to_graph_def
from rasa_compressed_bert.export.tflite import to_tflite
from rasa_compressed_bert.models import families
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.families import bert, family_of
from rasa_compressed_bert.models.gates import open_gates, per_example
from rasa_compressed_bert.models.hugging_face import _short_name
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.runtime.onnxruntime_engine import OnnxRuntimeEngine
from rasa_compressed_bert.runtime.tensorflow_engine import TensorflowEngine
from rasa_compressed_bert.runtime.tflite_engine import TfliteEngine
from rasa_compressed_bert.training.activations import activation_extremes

SIZES = {
    "vocab_size": 139,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 42,
}
FAMILIES = {
    "bert": (transformers.BertConfig, transformers.TFBertModel, {}),
    "distilbert": (transformers.DistilBertConfig, transformers.TFDistilBertModel, {"hidden_dim": 48}),
    "electra": (transformers.ElectraConfig, transformers.TFElectraModel, {"embedding_size": 24}),
    "electra, equal widths": (transformers.ElectraConfig, transformers.TFElectraModel, {"embedding_size": 32}),
    "mpnet": (transformers.MPNetConfig, transformers.TFMPNetModel, {}),
    "roberta": (transformers.RobertaConfig, transformers.TFRobertaModel, {}),
    "xlm-roberta": (transformers.XLMRobertaConfig, transformers.TFXLMRobertaModel, {}),
    "camembert": (transformers.CamembertConfig, transformers.TFCamembertModel, {"hidden_act": "gelu_new"}),
}
EXPORTED = {
    "bert": ("gelu", None, 0),
    "camembert": ("gelu_new", None, 0),
    "electra": ("gelu", 24, 0),
    "mpnet": ("gelu", None, 32),
}
"""One family per kind of graph, with what determines it; every other family has the graph of one of these."""
OFFSET = {"mpnet", "roberta", "xlm-roberta", "camembert"}
"""Families whose position embeddings have two rows that no message uses."""
LENGTHS = (40, 9, 4, 1)


def reference_model(name):
    """A random transformers model, always the same one; no parameter has its initial value."""
    config_class, model_class, options = FAMILIES[name]
    model, rng = model_class(config_class(**{**SIZES, **options})), np.random.default_rng(3)
    model(np.array([[2, 3]]))
    for variable in model.variables:
        scale_of_norm = float("gamma" in variable.name)
        variable.assign(scale_of_norm + rng.normal(0.0, 0.2, variable.shape).astype(np.float32))
    return model


def copy_tokenizer(tiny_weights, folder):
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).write_bytes((tiny_weights / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tiny_weights):
    """By name of a family: the name, its transformers model, and the checkpoint that we load from its folder."""

    @lru_cache(maxsize=None)
    def save(name):
        model, folder = reference_model(name), tmp_path_factory.mktemp("weights")
        model.save_pretrained(folder, safe_serialization=True)
        return name, model, load_pretrained(str(copy_tokenizer(tiny_weights, folder)))

    return save


@pytest.fixture(params=FAMILIES)
def family(request, saved):
    return saved(request.param)


@pytest.fixture(params=EXPORTED)
def exported(request, saved):
    return saved(request.param)


def batch(shape):
    ids, mask = random_batch(shape, lengths=LENGTHS)
    return np.where(ids == 1, 5, ids), mask  # 1 is RoBERTa's padding, which no message contains


def random_gates(shape):
    """Gates that close half of all units, among them a head and all neurons of a layer."""
    rng = np.random.default_rng(5)
    gates = [
        {kind: (rng.random(gate.shape) < 0.5).astype(np.float32) for kind, gate in layer.items()}
        for layer in open_gates(shape)
    ]
    gates[0]["value"][1] = 0.0
    gates[1]["intermediate"][:] = 0.0
    return gates


def close_units(model, gates):
    """Sets the weights of closed units to zero in a transformers model."""
    family = family_of(model.config.model_type)
    variables = {_short_name(variable.name): variable for variable in model.variables}
    for index, gate in enumerate(gates):
        layer = family.layer.format(index)
        query_key, value = gate["query_key"].reshape(-1), gate["value"].reshape(-1, 1)
        for part in ("kernel", "bias"):
            query = variables[f"{layer}/{family.kernels['query']}/{part}"]
            query.assign(query * query_key)
        for component, rows in (("attention_output", value), ("output", gate["intermediate"][:, np.newaxis])):
            kernel = variables[f"{layer}/{family.kernels[component]}/kernel"]
            kernel.assign(kernel * rows)


def hidden_states(model, ids, mask):
    return model(input_ids=ids, attention_mask=mask).last_hidden_state.numpy()


def pruned(checkpoint):
    return shrink(checkpoint.shape, checkpoint.encoder_parameters, random_gates(checkpoint.shape))


def test_parameters_have_the_shapes_that_are_declared(family):
    name, _, checkpoint = family
    shapes = {name: value.shape for name, value in checkpoint.encoder_parameters.items()}
    assert shapes == checkpoint.shape.parameter_shapes()
    assert checkpoint.shape.max_position_embeddings == (40 if name in OFFSET else 42)
    graph = (checkpoint.shape.hidden_act, checkpoint.shape.embedding_size, checkpoint.shape.relative_buckets)
    assert graph in EXPORTED.values() and EXPORTED.get(name, graph) == graph


def test_hidden_states_equal_those_of_transformers(family):
    _, model, checkpoint = family
    ids, mask = batch(checkpoint.shape)
    states = BertEncoder(checkpoint.shape, checkpoint.parameters)(ids, mask)[-1].numpy()
    np.testing.assert_allclose(states[mask == 1], hidden_states(model, ids, mask)[mask == 1], atol=1e-5)


def test_pruned_hidden_states_equal_those_of_transformers(family):
    """Closed gates, and removed units, both equal zero weights in transformers' model."""
    name, _, checkpoint = family
    model, gates = reference_model(name), random_gates(checkpoint.shape)
    ids, mask = batch(checkpoint.shape)
    whole = hidden_states(model, ids, mask)
    close_units(model, gates)
    expected = hidden_states(model, ids, mask)[mask == 1]
    assert np.abs(expected - whole[mask == 1]).max() > 0.1
    encoder = BertEncoder(checkpoint.shape, checkpoint.parameters)
    gated = encoder(ids, mask, gates=per_example(gates, len(ids)))[-1].numpy()
    np.testing.assert_allclose(gated[mask == 1], expected, atol=1e-5)
    shape, parameters = pruned(checkpoint)
    assert shape.encoder_size() < 0.6 * checkpoint.shape.encoder_size()
    assert {name: value.shape for name, value in parameters.items()} == shape.parameter_shapes()
    np.testing.assert_allclose(BertEncoder(shape, parameters)(ids, mask)[-1].numpy()[mask == 1], expected, atol=1e-5)


@pytest.mark.parametrize(
    "method, similarity", [("none", 0.99999), ("dynamic_int8", 0.999), ("static_int8", 0.99), ("kmeans", 0.95)]
)
def test_onnx_graph(exported, method, similarity):
    _, _, checkpoint = exported
    shape, parameters = pruned(checkpoint)
    encoder, config = BertEncoder(shape, parameters), QuantizationConfig(method=method)
    ids, mask = batch(shape)
    messages = [row[:size] for row, size in zip(ids, LENGTHS)]
    extremes = activation_extremes(encoder, encoder, messages) if method == "static_int8" else {}
    tensors = pack(shape, parameters, config, calibration_for(parameters, config, extremes))
    graph = onnx_model(shape, tensors)
    files = {GRAPH: graph.proto.SerializeToString(), WEIGHTS: tensors_to_bytes(tensors)}
    engine = OnnxRuntimeEngine(Artifact({"graph_weights": graph.weights}, files))
    expected = encoder(ids, mask)[-1].numpy()
    if method == "none":
        served = engine.run(ids.astype(np.int64), mask.astype(np.int64))[0]
        np.testing.assert_allclose(served[mask == 1], expected[mask == 1], atol=1e-4)
    alone = [engine.run(ids[np.newaxis].astype(np.int64), np.ones((1, len(ids)), np.int64))[0][0] for ids in messages]
    assert check_features([row[:size] for row, size in zip(expected, LENGTHS)], alone) > similarity


def test_tensorflow_graph(exported):
    _, _, checkpoint = exported
    shape, parameters = pruned(checkpoint)
    tensors = pack(shape, parameters, QuantizationConfig(method="dynamic_int8"))
    engine = TensorflowEngine(
        Artifact({}, {TENSORFLOW_GRAPH: to_graph_def(shape, tensors), WEIGHTS: tensors_to_bytes(tensors)})
    )
    ids, mask = batch(shape)
    expected = BertEncoder(shape, unpack(shape, tensors))(ids, mask)[-1]
    np.testing.assert_allclose(engine.run(ids, mask)[0], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method, distance", [("none", 1e-4), ("dynamic_int8", 0.2)])
def test_tflite_model(exported, method, distance):
    _, _, checkpoint = exported
    shape, parameters = pruned(checkpoint)
    encoder = BertEncoder(shape, parameters)
    model = to_tflite(lambda ids, mask: [encoder(ids, mask)[-1]], quantization=method, calibration=())
    engine = TfliteEngine(Artifact({}, {TFLITE_MODEL: model}))
    ids, mask = batch(shape)
    for row, length in zip(ids, LENGTHS):
        message = row[np.newaxis, :length]
        served = engine.run(message.astype(np.int64), np.ones_like(message, np.int64))[0]
        np.testing.assert_allclose(served, encoder(message, np.ones_like(message))[-1], atol=distance)


def test_safetensors_of_pytorch_give_the_same(family, tmp_path, tiny_weights):
    _, model, checkpoint = family
    model.config.save_pretrained(copy_tokenizer(tiny_weights, tmp_path))
    save_file(pytorch_tensors(model), tmp_path / "model.safetensors", metadata={"format": "pt"})
    read = load_pretrained(str(tmp_path))
    assert read.shape == checkpoint.shape
    for name, value in checkpoint.parameters.items():
        np.testing.assert_array_equal(read.parameters[name], value)


def test_tensorflow_file_gives_the_same(family, tmp_path, tiny_weights):
    _, model, checkpoint = family
    model.save_pretrained(copy_tokenizer(tiny_weights, tmp_path), safe_serialization=False)
    read = load_pretrained(str(tmp_path))
    for name, value in checkpoint.parameters.items():
        np.testing.assert_array_equal(read.parameters[name], value)


def changed(folder, model, tiny_weights, **values):
    model.save_pretrained(copy_tokenizer(tiny_weights, folder), safe_serialization=True)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **values}))
    return str(folder)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"pad_token_id": 0}, r"a pad_token_id of 0 \(this family counts positions from 1\) are not supported"),
        ({"pad_token_id": None}, "a pad_token_id of null"),
        ({"position_embedding_type": "relative_key"}, "relative positions"),
    ],
)
def test_unsupported_roberta(tmp_path, tiny_weights, change, message):
    with pytest.raises(WeightsError, match=message):
        load_pretrained(changed(tmp_path, reference_model("roberta"), tiny_weights, **change))


@pytest.mark.parametrize(
    "changes, told",
    [
        (
            {"norms": {**bert.FAMILY.norms, "output_norm": "output/norm"}},
            "'encoder/.*/output/norm/gamma'",
        ),
        ({"norms": {"output_norm": "output/LayerNorm"}}, "'layers.0.attention_norm.beta' the shape None"),
        (
            {"kernels": {**bert.FAMILY.kernels, "output": "intermediate/dense"}},
            "output.bias' the shape",
        ),
        ({"kernels": {**bert.FAMILY.kernels, "value": "attention/self/key"}}, "leaves out 4 of .*self/value"),
        ({"token_types": False}, "leaves out 1 of .*token_type_embeddings"),
    ],
)
def test_a_family_that_does_not_fit_is_refused(tiny_weights, tmp_path, monkeypatch, changes, told):
    monkeypatch.setitem(families._FAMILIES, "bert", replace(bert.FAMILY, **changes))
    reference_model("bert").save_pretrained(tmp_path, safe_serialization=True)
    with pytest.raises(WeightsError, match=told):
        load_pretrained(str(copy_tokenizer(tiny_weights, tmp_path)))
