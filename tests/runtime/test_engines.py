"""An artifact of any runtime is opened by its own engine, or the error names what is missing."""

import builtins
import gc
import subprocess
import sys
import weakref
from dataclasses import replace

import numpy as np
import onnx
import pytest
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import GRAPH, Artifact, write_artifact
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.errors import ArtifactError, RuntimeMissingError
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.engines import open_engine

SHAPE = random_shape(UNEVEN)
LIBRARIES = {"onnxruntime": "onnxruntime", "tflite": "ai-edge-litert", "tensorflow": "tensorflow"}
RUNTIMES = pytest.mark.parametrize("runtime", LIBRARIES)


def artifact_for(runtime, parameters, method, shape=SHAPE):
    form = Format(QuantizationConfig(method=method), runtime)
    return serving_artifact(ModelState(shape, parameters, "{}"), form, kind="test", manifest={})


@pytest.fixture(scope="module")
def artifacts():
    """Artifacts of a classifier in floats, by runtime."""
    return {runtime: artifact_for(runtime, random_parameters(SHAPE), "none") for runtime in LIBRARIES}


def batch(*lengths):
    ids, mask = random_batch(SHAPE, lengths=lengths)
    return ids.astype(np.int64), mask.astype(np.int64)


@RUNTIMES
def test_ids_of_another_tokenizer_are_an_error_of_the_model(artifacts, runtime):
    ids, mask = batch(5)
    with pytest.raises(ArtifactError, match="cannot run the model"):
        open_engine(artifacts[runtime]).run(ids + SHAPE.vocab_size, mask)


@RUNTIMES
@pytest.mark.parametrize("num_threads", [0, 1, 2])
def test_logits_are_those_of_the_model(artifacts, runtime, num_threads):
    ids, mask = batch(9, 4, 1)
    logits = open_engine(artifacts[runtime], num_threads=num_threads).run(ids, mask)[0]
    assert isinstance(logits, np.ndarray) and logits.dtype == np.float32
    np.testing.assert_allclose(logits, TaskModel(SHAPE, random_parameters(SHAPE))(ids, mask).heads["logits"], atol=1e-5)


@pytest.mark.slow
@RUNTIMES
@pytest.mark.parametrize("intents", [True, False])
@pytest.mark.parametrize("method", ["none", "dynamic_int8"])
def test_every_head_is_an_output(runtime, intents, method):
    parameters = random_parameters(SHAPE, num_tags=7)
    if not intents:
        parameters = {name: value for name, value in parameters.items() if "classifier" not in name}
    ids, mask = batch(9, 4, 1)
    outputs = open_engine(artifact_for(runtime, parameters, method)).run(ids, mask)
    expected = TaskModel(SHAPE, parameters)(ids, mask)
    atol = 1e-4 if method == "none" else 0.6
    assert len(outputs) == 1 + 2 * intents
    if intents:
        np.testing.assert_allclose(outputs[0], expected.heads["logits"], atol=atol)
        np.testing.assert_allclose(outputs[1], expected.heads["features"], atol=atol)
    assert outputs[-1].shape == (3, 9, 7)
    for row, length in enumerate((9, 4, 1)):
        np.testing.assert_allclose(outputs[-1][row, :length], expected.heads["tag_logits"][row, :length], atol=atol)


def test_a_process_has_one_engine_for_a_model(artifacts):
    first, second = (open_engine(artifacts["onnxruntime"]) for _ in range(2))
    assert first is second
    assert open_engine(artifacts["onnxruntime"], num_threads=2) is not first
    other = artifact_for("onnxruntime", random_parameters(SHAPE, seed=1), "none")
    assert open_engine(other) is not first


def test_an_unused_engine_is_released():
    artifact = artifact_for("onnxruntime", random_parameters(SHAPE, seed=2), "none")
    engine = weakref.ref(open_engine(artifact))
    gc.collect()
    assert engine() is None


@pytest.mark.parametrize(
    "shape, version, method, warned",
    [
        (SHAPE, 4, "dynamic_int8", 1),
        (SHAPE, 5, "dynamic_int8", 0),
        (SHAPE, 4, "none", 0),
        (random_shape(), 4, "dynamic_int8", 0),  # only the classifier has other widths, and a message is one row
    ],
)
def test_a_graph_of_an_older_version_may_be_computed_wrongly(shape, version, method, warned, caplog):
    """ONNX Runtime's int8 products of 32 rows are wrong on processors with AMX, if columns are not padded."""
    artifact = artifact_for("onnxruntime", random_parameters(shape, pooler_size=24, seed=3), method, shape)
    open_engine(replace(artifact, manifest={**artifact.manifest, "format_version": version}), num_threads=version)
    assert caplog.text.count("AMX") == warned


@RUNTIMES
@pytest.mark.parametrize("method", ["none", "dynamic_int8", "kmeans"])
def test_hidden_states_are_those_of_the_encoder(runtime, method):
    parameters = {name: value for name, value in random_parameters(SHAPE).items() if "classifier" not in name}
    ids, mask = batch(9, 4, 1)
    hidden = open_engine(artifact_for(runtime, parameters, method)).run(ids, mask)[0]
    expected = BertEncoder(SHAPE, parameters)(ids, mask)[-1].numpy()
    assert hidden.shape == (3, 9, SHAPE.hidden_size) and hidden.dtype == np.float32
    for row, length in enumerate((9, 4, 1)):
        np.testing.assert_allclose(hidden[row, :length], expected[row, :length], atol=1e-4 if method == "none" else 0.3)


@RUNTIMES
def test_a_runtime_whose_library_is_missing_is_named_with_what_to_install(artifacts, runtime, monkeypatch):
    original = builtins.__import__

    def without_libraries(name, *args, **kwargs):
        if name.split(".")[0] in ("onnxruntime", "tensorflow", "ai_edge_litert", "tflite_runtime"):
            raise ImportError(f"No module named '{name}'")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_libraries)
    with pytest.raises(RuntimeMissingError, match=f"'{runtime}' is not installed: pip install {LIBRARIES[runtime]}$"):
        open_engine(artifacts[runtime])


def test_serving_with_onnx_runtime_loads_nothing_else(artifacts, tmp_path):
    write_artifact(artifacts["onnxruntime"], tmp_path)
    code = f"""
import pathlib, sys, numpy
from rasa_compressed_bert.artifact.artifact import read_artifact
from rasa_compressed_bert.runtime.engines import open_engine
ids = numpy.array([[2, 7, 3]])
print(open_engine(read_artifact(pathlib.Path({str(tmp_path)!r}))).run(ids, numpy.ones_like(ids))[0].shape)
print(*sorted(set(sys.modules) & {{"tensorflow", "transformers", "rasa", "torch", "sklearn", "onnx"}}))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["(1, 5)", ""]


@pytest.mark.parametrize("runtime", ["openvino", "", "OnnxRuntime"])
def test_an_unknown_runtime_is_named_with_the_known_ones(artifacts, runtime):
    artifact = artifacts["onnxruntime"]
    with pytest.raises(
        ArtifactError, match=f"unknown runtime '{runtime}'; known ones: onnxruntime, tflite, tensorflow"
    ):
        open_engine(Artifact({**artifact.manifest, "runtime": runtime}, artifact.files))


def field(number, data):
    """A protobuf field with text, bytes or an embedded message."""
    length, size = b"", len(data)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def with_weight(artifact, alter):
    """The artifact with the last weight of its graph serialized by `alter`, and not listed in `graph_weights`."""
    *others, name = artifact.manifest["graph_weights"]
    model = onnx.load_from_string(artifact.files[GRAPH])
    (weight,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    model.graph.initializer.remove(weight)
    graph = model.graph.SerializeToString() + field(5, alter(weight))
    model.ClearField("graph")
    return Artifact(
        {**artifact.manifest, "graph_weights": others},
        {**artifact.files, GRAPH: model.SerializeToString() + field(7, graph)},
    )


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """A file that no model may read, larger than any weight."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(bytes(10_000))
    (tmp_path / "secret").write_bytes(bytes(10_000))
    return str(tmp_path / "secret")


def test_a_graph_reads_no_file_outside_the_artifact(artifacts, secret):
    """ONNX Runtime would read weights from any file that the graph names, if the artifact lacks them."""

    def elsewhere(weight):
        weight.external_data[0].value = secret
        return weight.SerializeToString()

    def in_the_current_folder(weight):
        return weight.SerializeToString()

    for alter in (elsewhere, in_the_current_folder):
        with pytest.raises(ArtifactError, match="weights from a file outside of the model"):
            open_engine(with_weight(artifacts["onnxruntime"], alter))


def test_a_field_that_occurs_twice_is_refused(artifacts, secret):
    """Of a field that may occur once, protobuf takes the last occurrence and ignores the others."""

    def twice(weight):
        entry = field(13, field(1, b"location") + field(2, b"weights.safetensors") + field(2, secret.encode()))
        del weight.external_data[:]
        return weight.SerializeToString() + entry

    artifact = with_weight(artifacts["onnxruntime"], twice)
    last = onnx.load_from_string(artifact.files[GRAPH]).graph.initializer[-1]
    assert last.external_data[0].value == secret, "which ONNX Runtime would read"
    with pytest.raises(ArtifactError, match="field 'value' of StringStringEntryProto twice"):
        open_engine(artifact)


def test_a_weight_whose_name_is_a_number_is_refused(artifacts):
    def numbered(weight):
        weight.ClearField("name")
        return weight.SerializeToString() + bytes([8 << 3, 7])  # field 8 as a varint

    with pytest.raises(ArtifactError, match="reads weights from a file outside of the model"):
        open_engine(with_weight(artifacts["onnxruntime"], numbered))


def test_a_field_that_no_graph_of_ours_has_is_refused(artifacts):
    """Tensors and subgraphs in attributes, in functions and in sparse weights could name files too."""
    whole = artifacts["onnxruntime"]
    constant = onnx.helper.make_tensor("constant", onnx.TensorProto.INT64, [1], [1])
    changes = [
        lambda model: model.graph.node.append(onnx.helper.make_node("Constant", [], ["constant"], value=constant)),
        lambda model: model.graph.sparse_initializer.add(),
        lambda model: model.functions.add(name="function"),
    ]
    for change in changes:
        model = onnx.load_from_string(whole.files[GRAPH])
        change(model)
        with pytest.raises(ArtifactError, match="a field that no graph of rasa_compressed_bert has"):
            open_engine(Artifact(whole.manifest, {**whole.files, GRAPH: model.SerializeToString()}))


def test_only_the_format_that_is_checked_is_loaded(artifacts, tmp_path, monkeypatch):
    """ONNX Runtime recognises its own format, which may name files too, by four bytes."""
    import onnxruntime

    monkeypatch.setattr("rasa_compressed_bert.runtime.onnxruntime_engine.require_own_weights", lambda *_: None)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [value])
    graph.output[0].name = "y"
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    whole = artifacts["onnxruntime"]
    files = {**whole.files, GRAPH: (tmp_path / "model.ort").read_bytes()}
    with pytest.raises(ArtifactError, match="cannot load"):
        open_engine(Artifact({**whole.manifest, "graph_weights": []}, files))
