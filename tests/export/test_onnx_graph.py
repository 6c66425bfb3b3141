"""The serving graph gives the logits of the model that it was written from."""

import numpy as np
import onnx
import pytest
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import GRAPH, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export import intent_classifier
from rasa_compressed_bert.export.intent_classifier import export_intent_classifier
from rasa_compressed_bert.export.onnx_graph import LOGITS, EncoderGraph
from rasa_compressed_bert.export.packing import pack, unpack
from rasa_compressed_bert.models.intent_model import IntentModel
from rasa_compressed_bert.runtime.onnxruntime_engine import OnnxRuntimeEngine

SHAPES = {
    "dense": {},
    "uneven": {"layers": UNEVEN},
    "gelu_new": {"hidden_act": "gelu_new"},
    "relu": {"layers": UNEVEN, "hidden_act": "relu"},
    "no layers": {"layers": ()},
    "no heads at all": {"layers": ((0, 0, 0, 16), (0, 0, 0, 0))},
    "uneven values": {"layers": ((3, 8, 5, 9), (2, 3, 16, 8))},
}


def graph_of(shape, tensors):
    graph = EncoderGraph(shape, tensors)
    graph.classify(graph.encode())
    return graph


def engine_of(shape, parameters, *, int8=False, per_channel=True):
    tensors = pack(shape, parameters, int8=int8, per_channel=per_channel)
    graph = graph_of(shape, tensors)
    files = {
        GRAPH: graph.model(LOGITS, ["batch", parameters["classifier.bias"].size]).SerializeToString(),
        WEIGHTS: tensors_to_bytes(tensors),
    }
    return OnnxRuntimeEngine(Artifact({"graph_weights": graph.weights()}, files)), tensors


def run(engine, ids, mask):
    return engine.run(ids.astype(np.int64), mask.astype(np.int64))


@pytest.mark.parametrize("pooler_size", [0, 16])
@pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES)
def test_fp32_equals_the_model(options, pooler_size):
    shape = random_shape(**options)
    parameters = random_parameters(shape, pooler_size=pooler_size)
    engine, _ = engine_of(shape, parameters)
    model = IntentModel(shape, parameters)
    for lengths in ((9, 4, 1), (1,), (40, 40)):
        ids, mask = random_batch(shape, lengths=lengths)
        np.testing.assert_allclose(run(engine, ids, mask), model(ids, mask)[0], atol=1e-4)


@pytest.mark.parametrize("int8", [False, True])
def test_padding_changes_no_fp32_logits_and_few_int8_ones(int8):
    shape = random_shape(UNEVEN)
    engine, _ = engine_of(shape, random_parameters(shape), int8=int8)
    ids, mask = random_batch(shape)
    together = run(engine, ids, mask)
    for row, length in enumerate((9, 4, 1)):
        alone = run(engine, ids[row : row + 1, :length], mask[row : row + 1, :length])
        np.testing.assert_allclose(alone[0], together[row], atol=0.2 if int8 else 1e-4)


@pytest.mark.parametrize("pooler_size", [0, 16])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name", ["dense", "uneven", "no heads at all"])
def test_int8_is_close_to_the_model_of_its_own_weights(name, per_channel, pooler_size):
    """What is left of the difference is the rounding of activations; the weights are exactly those of `unpack`."""
    shape = random_shape(**SHAPES[name])
    parameters = random_parameters(shape, pooler_size=pooler_size)
    engine, tensors = engine_of(shape, parameters, int8=True, per_channel=per_channel)
    ids, mask = random_batch(shape, lengths=(6,))
    expected = IntentModel(shape, unpack(shape, tensors))(ids, mask)[0].numpy()
    served = run(engine, ids, mask)
    assert np.abs(served - expected).max() < 0.15
    assert np.abs(served - expected).mean() < 0.25 * np.abs(expected).mean()


def test_graph_holds_no_weights_and_no_names_twice():
    shape = random_shape(UNEVEN)
    tensors = pack(shape, random_parameters(shape), int8=True, per_channel=True)
    graph = graph_of(shape, tensors)
    model = graph.model(LOGITS, ["batch", 5])
    assert len(model.SerializeToString()) < 40_000
    external = [tensor.name for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    assert external == graph.weights() and set(external) <= set(tensors)
    unused = set(tensors) - set(external)
    assert not unused, "nothing is stored that no node reads"
    names = [output for node in model.graph.node for output in node.output]
    assert len(names) == len(set(names))


def export(shape, parameters, logits=None, **options):
    model = IntentModel(shape, parameters)
    rng = np.random.default_rng(0)
    input_ids = [rng.integers(1, shape.vocab_size, length) for length in (3, 9, 5, 7, 4, 6)]
    if logits is None:
        logits = np.concatenate([model(ids[np.newaxis], np.ones((1, len(ids)), np.int32))[0] for ids in input_ids])
    return export_intent_classifier(
        shape,
        parameters,
        tokenizer="{}",
        quantization=QuantizationConfig(**options),
        manifest={"labels": list("abcde"), "max_length": 40, "temperature": 1.5},
        input_ids=input_ids,
        logits=logits,
        classes=logits.argmax(axis=1),
    )


def test_export_says_how_it_compares():
    shape = random_shape(UNEVEN)
    artifact = export(shape, random_parameters(shape), method="none")
    parity = artifact.manifest["parity"]
    assert parity["messages"] == 6 and parity["changed"] == 0 and parity["accuracy"] == 1.0
    assert parity["distance"] < 1e-4
    assert artifact.manifest["quantization"] == {"method": "none", "per_channel": True}
    assert artifact.manifest["kind"] == "intent_classifier" and artifact.manifest["encoder"] == shape.to_dict()
    again = export(shape, random_parameters(shape), method="none")
    assert again == artifact, "an export is repeatable"


def test_export_that_disagrees_is_refused():
    shape = random_shape(UNEVEN)
    wrong = np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0]] * 20.0
    with pytest.raises(ExportError, match="disagrees"):
        export(shape, random_parameters(shape), logits=wrong)


def test_export_with_damaged_weights_is_refused(monkeypatch):
    def damaged(*args, **kwargs):
        tensors = pack(*args, **kwargs)
        return {**tensors, "classifier.bias": np.full_like(tensors["classifier.bias"], np.nan)}

    monkeypatch.setattr(intent_classifier, "pack", damaged)
    shape = random_shape(UNEVEN)
    with pytest.raises(ExportError):
        export(shape, random_parameters(shape))
