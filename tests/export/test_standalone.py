import json

import numpy as np
import onnxruntime
import pytest
from random_models import UNEVEN, random_parameters, random_shape
from small_archives import word_tokenizer
from tokenizers import Tokenizer

from rasa_compressed_bert.artifact.artifact import GRAPH, MANIFEST, TFLITE_MODEL, TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.compression.quantization import Calibration
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.errors import ArtifactError, ExportError
from rasa_compressed_bert.export.documents import document_artifact
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.export.standalone import onnx_files, tflite_files
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.engines import open_engine
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

IDS = np.array([[2, 7, 9, 11, 3]])
TOKENIZER_JSON = word_tokenizer().decode()


def artifact(method="dynamic_int8", *, head=True):
    shape = random_shape(UNEVEN)
    parameters = random_parameters(shape)
    if not head:
        parameters = {name: value for name, value in parameters.items() if not name.startswith("classifier.")}
    return serving_artifact(
        ModelState(shape, parameters, TOKENIZER_JSON),
        Format(QuantizationConfig(method=method)),
        kind="intent_classifier",
        manifest={"labels": list("abcde"), "temperature": 1.5, "max_length": 40} if head else {"max_length": 40},
    )


def served(model):
    return open_engine(model).run(IDS, np.ones_like(IDS))[0]


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("method", ["none", "dynamic_int8"])
def test_onnx_runs_without_this_package(method, head):
    model = artifact(method, head=head)
    files = onnx_files(model)
    session = onnxruntime.InferenceSession(files[GRAPH], providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].name == ("logits" if head else "hidden_states")
    output = session.run(None, {"input_ids": IDS, "attention_mask": np.ones_like(IDS)})[0]
    np.testing.assert_allclose(output, served(model), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["none", "dynamic_int8", "static_int8"])
def test_tflite_runs_without_this_package(quantization):
    import tensorflow as tf

    model = artifact("none")
    files = tflite_files(model, quantization=quantization, texts=["1 2 3", "4 9 30 41"])
    interpreter = tf.lite.Interpreter(model_content=files[TFLITE_MODEL])
    inputs = {entry["name"]: entry["index"] for entry in interpreter.get_input_details()}
    for index in inputs.values():
        interpreter.resize_tensor_input(index, IDS.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(inputs["input_ids"], IDS.astype(np.int32))
    interpreter.set_tensor(inputs["attention_mask"], np.ones(IDS.shape, np.int32))
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    tolerance = {"none": 1e-4, "dynamic_int8": 0.2, "static_int8": 1.0}[quantization]
    np.testing.assert_allclose(output, served(model), atol=tolerance)


def test_what_lies_beside_the_model():
    files = onnx_files(artifact())
    described = json.loads(files[MANIFEST])
    assert described["labels"] == list("abcde") and described["temperature"] == 1.5
    assert json.loads(files[TOKENIZER])["model"] == json.loads(TOKENIZER_JSON)["model"]


@pytest.mark.parametrize("head", [True, False])
def test_the_tokenizer_encodes_messages_as_they_are_served(head):
    """That of pretrained weights may pad every message, and truncate them at another length."""
    padding = Tokenizer.from_str(TOKENIZER_JSON)
    padding.enable_padding(length=20)
    padding.enable_truncation(20)
    model = artifact(head=head)
    model = Artifact(model.manifest, {**model.files, TOKENIZER: padding.to_str().encode()})
    written = Tokenizer.from_str(onnx_files(model)[TOKENIZER].decode())
    served_ids = WordpieceTokenizer(padding.to_str(), model.max_length).encode
    for text in ("oh it is hot", "oh it is cold " * 20):
        assert written.encode(text).ids == served_ids(text).tolist()


def test_responses_are_named_in_the_order_of_their_logits():
    known, entry = artifact(), {"labels": ["faq/a", "faq/b"], "temperature": 1.5}
    files = onnx_files(Artifact({**known.manifest, "responses": entry}, known.files))
    assert json.loads(files[MANIFEST])["responses"] == entry


def test_static_int8_needs_messages():
    with pytest.raises(ExportError, match="messages to calibrate on"):
        tflite_files(artifact("none"), quantization="static_int8", texts=[])


def test_an_untrained_model_is_refused():
    with pytest.raises(ExportError, match="nothing to export"):
        onnx_files(Artifact({"kind": "untrained"}, {}))


@pytest.mark.parametrize("key", ["encoder", "max_length"])
def test_an_artifact_that_does_not_say_what_it_is(key):
    whole = artifact()
    damaged = Artifact({name: value for name, value in whole.manifest.items() if name != key}, whole.files)
    for export in (onnx_files, lambda damaged: tflite_files(damaged, quantization="none", texts=[])):
        if key == "encoder" or export is not onnx_files:
            with pytest.raises((ArtifactError, ExportError), match="do not fit each other|not a BERT"):
                export(damaged)


@pytest.mark.parametrize("method", ["none", "dynamic_int8"])
def test_a_tagger_without_neighbours_tags_as_before(method):
    """Models of format 3 have one; it equals a tagger with zero weights for the neighbours."""
    shape = random_shape(UNEVEN)
    own, parameters = slice(shape.hidden_size, 2 * shape.hidden_size), random_parameters(shape, num_tags=7)
    weighed = np.zeros_like(parameters["tagger.kernel"])
    weighed[own] = parameters["tagger.kernel"][own]
    factors = np.linspace(0.5, 2.0, shape.hidden_size, dtype=np.float32)
    now = serving_artifact(
        ModelState(shape, {**parameters, "tagger.kernel": weighed}, TOKENIZER_JSON),
        Format(
            QuantizationConfig(method=method),
            calibration=Calibration(smoothing={"tagger": np.concatenate([np.ones_like(factors), factors, factors])}),
        ),
        kind="joint_classifier",
        manifest={"labels": list("abcde"), "max_length": 40},
    )
    tensors = tensors_from_bytes(now.files[WEIGHTS])
    before = {**tensors, **{name: tensors[name][own] for name in ("tagger.kernel", "tagger.input_factors")}}
    old = Artifact(now.manifest, {**now.files, WEIGHTS: tensors_to_bytes(before)})
    session = onnxruntime.InferenceSession(onnx_files(old)[GRAPH], providers=["CPUExecutionProvider"])
    (tags,) = session.run(["tag_logits"], {"input_ids": IDS, "attention_mask": np.ones_like(IDS)})
    expected = open_engine(now).run(IDS, np.ones_like(IDS))[now.manifest["outputs"].index("tag_logits")]
    assert tags.shape == (*IDS.shape, 7)
    np.testing.assert_allclose(tags, expected, atol=1e-5)
    assert document_artifact(old).manifest["outputs"] == [*now.manifest["outputs"], "hidden_states"]
    open_engine(document_artifact(old))
