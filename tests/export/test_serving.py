"""A model is exported to an artifact that an engine serves, or an error is raised."""

import json

import numpy as np
import pytest
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import GRAPH, TOKENIZER, WEIGHTS
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.compression.quantization import calibration_for
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export import serving
from rasa_compressed_bert.export.packing import pack, unpack
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.export.task_model import TrainedOutput, export_task_model
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.training.activations import activation_extremes

SHAPE = random_shape(UNEVEN)
FORMATS = {
    "none": {},
    "dynamic_int8": {},
    "static_int8": {},
    "kmeans": {"encoder_bits": 2, "embedding_bits": 4},
}


def messages(*lengths):
    rng = np.random.default_rng(0)
    return [rng.integers(1, SHAPE.vocab_size, length).astype(np.int32) for length in lengths]


def artifact_of(parameters, method="none", **manifest):
    config, extremes = QuantizationConfig(method=method, **FORMATS[method]), {}
    if method == "static_int8":
        model = (TaskModel if "classifier.bias" in parameters else BertEncoder)(SHAPE, parameters)
        extremes = activation_extremes(model, getattr(model, "encoder", model), messages(*range(1, 20)))
    form = Format(config, calibration=calibration_for(parameters, config, extremes))
    return serving_artifact(ModelState(SHAPE, parameters, "{}"), form, kind="test", manifest=manifest)


def encoder_parameters():
    return {name: value for name, value in random_parameters(SHAPE).items() if not name.startswith("classifier")}


@pytest.mark.parametrize("method", FORMATS)
def test_what_an_artifact_says_and_holds(method):
    artifact = artifact_of(random_parameters(SHAPE), method, labels=["a"])
    manifest = json.loads(json.dumps(artifact.manifest))
    assert (manifest["kind"], manifest["runtime"], manifest["labels"]) == ("test", "onnxruntime", ["a"])
    assert manifest["encoder"] == json.loads(json.dumps(SHAPE.to_dict()))
    assert QuantizationConfig(**manifest["quantization"]) == QuantizationConfig(method=method, **FORMATS[method])
    assert set(artifact.files) == {TOKENIZER, GRAPH, WEIGHTS} and artifact.files[TOKENIZER] == b"{}"
    assert set(manifest["graph_weights"]) == set(tensors_from_bytes(artifact.files[WEIGHTS]))


@pytest.mark.parametrize("method", FORMATS)
def test_an_encoder_without_a_head_serves_hidden_states(method):
    parameters = encoder_parameters()
    artifact = artifact_of(parameters, method)
    expected = BertEncoder(SHAPE, unpack(SHAPE, tensors_from_bytes(artifact.files[WEIGHTS])))
    engine = open_engine(artifact)
    ids, mask = random_batch(SHAPE, lengths=(7, 7))
    served = engine.run(ids.astype(np.int64), mask.astype(np.int64))[0]
    assert served.shape == (2, 7, SHAPE.hidden_size) and served.dtype == np.float32
    np.testing.assert_allclose(served, expected(ids, mask)[-1], atol=1e-4 if method == "none" else 0.3)


def test_messages_are_served_one_at_a_time():
    parameters = random_parameters(SHAPE)
    model, input_ids = TaskModel(SHAPE, parameters), messages(3, 9, 1)
    artifact = artifact_of(parameters)
    assert artifact.manifest["outputs"] == ["logits", "features"]
    for ids in input_ids:
        logits, given = run_message(open_engine(artifact), ids)
        expected = model(ids[np.newaxis], np.ones((1, len(ids)), np.int32))
        np.testing.assert_allclose(logits, expected.heads["logits"][0], atol=1e-4)
        np.testing.assert_allclose(given, expected.heads["features"][0], atol=1e-4)
    encoder = artifact_of(encoder_parameters())
    assert encoder.manifest["outputs"] == ["hidden_states"]
    states = [run_message(open_engine(encoder), ids)[0].shape for ids in input_ids]
    assert states == [(3, 32), (9, 32), (1, 32)]


@pytest.mark.parametrize("method", FORMATS)
def test_an_artifact_is_repeatable(method):
    assert artifact_of(random_parameters(SHAPE), method) == artifact_of(random_parameters(SHAPE), method)


LENGTHS = (3, 9, 5, 7, 4, 6)


def trained_logits(parameters):
    model = TaskModel(SHAPE, parameters)
    return np.concatenate(
        [model(ids[np.newaxis], np.ones((1, len(ids)), np.int32)).heads["logits"] for ids in messages(*LENGTHS)]
    )


def export(parameters, logits=None, compared=None, **options):
    if logits is None:
        logits = trained_logits(parameters)
    return export_task_model(
        ModelState(SHAPE, parameters, tokenizer="{}"),
        Format(QuantizationConfig(**options)),
        kind="intent_classifier",
        manifest={"labels": list("abcde"), "max_length": 40, "temperature": 1.5},
        input_ids=messages(*LENGTHS),
        trained=[TrainedOutput("logits", logits, 1.0, logits.argmax(axis=1), compared=compared)],
    )


def test_export_says_how_it_compares():
    artifact = export(random_parameters(SHAPE), method="none")
    parity = artifact.manifest["parity"]
    assert parity["messages"] == 6 and parity["changed"] == 0 and parity["accuracy"] == 1.0
    assert parity["distance"] < 1e-4
    assert artifact.manifest["kind"] == "intent_classifier" and artifact.manifest["encoder"] == SHAPE.to_dict()
    again = export(random_parameters(SHAPE), method="none")
    assert again == artifact, "an export is repeatable"


def test_export_that_disagrees_is_refused():
    wrong = np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0]] * 20.0
    with pytest.raises(ExportError, match="differs"):
        export(random_parameters(SHAPE), logits=wrong)


def test_only_the_given_logits_are_compared():
    right = export(random_parameters(SHAPE), method="none").manifest["parity"]
    kept = np.zeros((6, 5), bool)
    kept[:2, :3] = True  # two messages, three of five classes
    parameters, mixed = random_parameters(SHAPE), np.eye(5, dtype=np.float32)[[4] * 6] * 20.0
    with pytest.raises(ExportError, match="differs"):
        export(parameters, logits=mixed)
    mixed[:2, :3] = trained_logits(parameters)[:2, :3]
    parity = export(parameters, logits=mixed, compared=kept, method="none").manifest["parity"]
    assert (parity["messages"], parity["changed"]) == (2, 0) and parity["distance"] < 1e-4 < right["messages"]
    assert export(parameters, logits=mixed, compared=np.zeros((6, 5), bool)).manifest["parity"] == {}


def test_export_with_damaged_weights_is_refused(monkeypatch):
    def damaged(*args, **kwargs):
        tensors = pack(*args, **kwargs)
        return {**tensors, "classifier.bias": np.full_like(tensors["classifier.bias"], np.nan)}

    monkeypatch.setattr(serving, "pack", damaged)
    with pytest.raises(ExportError):
        export(random_parameters(SHAPE))
