"""One message at a time through a TFLite interpreter: TensorFlow's, and LiteRT's if it is installed."""

import builtins
import importlib.util
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import TFLITE_MODEL, Artifact
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.export.tflite import to_tflite
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.tflite_engine import TfliteEngine

SHAPE = random_shape(UNEVEN)
LENGTHS = (9, 4, 1, 9, 3)


def hide(monkeypatch, *packages):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(packages):
            raise ImportError(f"No module named '{name}'")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.fixture(params=["ai_edge_litert", "tensorflow"])
def interpreter(request, monkeypatch):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    if request.param == "tensorflow":
        hide(monkeypatch, "ai_edge_litert")
    return request.param


@pytest.fixture(scope="module")
def intent_model():
    return TaskModel(SHAPE, random_parameters(SHAPE))


@pytest.fixture(scope="module")
def encoder():
    return BertEncoder(SHAPE, random_parameters(SHAPE))


def artifact_of(forward, quantization):
    return Artifact({}, {TFLITE_MODEL: to_tflite(forward, quantization=quantization, calibration=[])})


@pytest.fixture(scope="module")
def classifier(intent_model):
    return artifact_of(lambda ids, mask: intent_model(ids, mask).heads["logits"], "none")


@pytest.fixture(scope="module")
def featurizer(encoder):
    return artifact_of(lambda ids, mask: encoder(ids, mask)[-1], "dynamic_int8")


def batch(lengths=LENGTHS):
    ids, mask = random_batch(SHAPE, lengths=lengths)
    return ids.astype(np.int64), mask.astype(np.int64)


def test_logits_of_a_batch(interpreter, classifier, intent_model):
    ids, mask = batch()
    logits = TfliteEngine(classifier).run(ids, mask)[0]
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, intent_model(ids, mask).heads["logits"], atol=1e-4)


def test_hidden_states_of_a_batch(interpreter, featurizer, encoder):
    ids, mask = batch()
    engine = TfliteEngine(featurizer)
    states = engine.run(ids, mask)[0]
    assert states.shape == (5, 9, 32) and not states[mask == 0].any()
    np.testing.assert_allclose(states[mask == 1], encoder(ids, mask)[-1].numpy()[mask == 1], atol=0.3)
    for row, length in enumerate(LENGTHS):
        alone = engine.run(ids[row : row + 1, :length], mask[row : row + 1, :length])[0]
        np.testing.assert_array_equal(alone[0], states[row, :length])


def test_a_hole_in_the_mask_is_masked(interpreter, classifier, intent_model):
    ids, mask = batch((7,))
    mask[0, 3] = 0
    np.testing.assert_allclose(
        TfliteEngine(classifier).run(ids, mask)[0], intent_model(ids, mask).heads["logits"], atol=1e-4
    )


@pytest.mark.parametrize("num_threads", [0, 1, 2])
def test_threads_give_the_same_answers(interpreter, classifier, num_threads):
    engine = TfliteEngine(classifier, num_threads=num_threads)
    messages = [batch((length,)) for length in (3, 40, 17, 3, 9)] * 20
    alone = [engine.run(*message)[0] for message in messages]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda message: engine.run(*message)[0], messages))
    for one, other in zip(alone, together):
        np.testing.assert_array_equal(one, other)


def test_a_message_that_is_too_long_does_no_harm(interpreter, classifier):
    engine = TfliteEngine(classifier)
    before = engine.run(*batch((5,)))[0]
    with pytest.raises(ArtifactError, match="cannot run the model"):
        engine.run(*batch((41,)))  # there are 40 positions
    for lengths in ((5,), (40,), (5,)):
        after = engine.run(*batch(lengths))[0]
    np.testing.assert_array_equal(before, after)


def test_slow_interpreter_is_mentioned(classifier, monkeypatch, caplog):
    hide(monkeypatch, "ai_edge_litert")
    TfliteEngine(classifier)
    assert "pip install ai-edge-litert" in caplog.text


@pytest.mark.parametrize("data", [b"", b"no model"])
def test_damaged_models_are_refused(interpreter, data):
    with pytest.raises(ArtifactError):
        TfliteEngine(Artifact({}, {TFLITE_MODEL: data}))


def test_model_with_other_inputs_is_refused(interpreter):
    import tensorflow as tf

    function = tf.function(lambda x: x + 1.0, input_signature=[tf.TensorSpec([1], tf.float32)])
    data = tf.lite.TFLiteConverter([function.get_concrete_function()]).convert()
    with pytest.raises(ArtifactError):
        TfliteEngine(Artifact({}, {TFLITE_MODEL: data}))


def test_no_operator_of_tensorflow_runs(interpreter, tmp_path):
    """Some of TensorFlow's operators read and write files: a model may have only TFLite's own."""
    import tensorflow as tf

    secret = tmp_path / "secret"
    secret.write_text("secret")
    inputs = [tf.TensorSpec([1, None], tf.int32, name) for name in ("input_ids", "attention_mask")]

    @tf.function(input_signature=inputs)
    def read(input_ids, attention_mask):
        name = tf.gather([str(secret)], 0 * input_ids[0, 0])  # no constant: the converter would read it itself
        content = tf.strings.length(tf.raw_ops.ReadFile(filename=name))
        return tf.cast(tf.reduce_sum(input_ids * attention_mask) + content, tf.float32)[tf.newaxis, tf.newaxis]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([read.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    model = Artifact({}, {TFLITE_MODEL: converter.convert()})
    assert b"FlexReadFile" in model.files[TFLITE_MODEL]
    with pytest.raises(ArtifactError, match="operators that no model of rasa_compressed_bert has: .*FlexReadFile"):
        TfliteEngine(model)


def test_a_model_reads_no_file_outside_the_artifact(classifier):
    """Newer interpreters read weights from any file that a model names ("external buffers")."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(classifier.files[TFLITE_MODEL])
    model.externalBufferGroups = [schema.ExternalBufferGroupT(name="/etc/passwd")]
    with pytest.raises(ArtifactError, match="weights from a file outside of the model"):
        TfliteEngine(packed(model))


def packed(model):
    """An artifact with a model given as an object of `schema_py_generated`."""
    import flatbuffers

    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return Artifact({}, {TFLITE_MODEL: bytes(builder.Output())})


def test_a_model_reads_no_memory_that_is_not_its_own(classifier):
    """The sum of offset and size overflows to a small number: the interpreter would read memory before the model."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(classifier.files[TFLITE_MODEL])
    TfliteEngine(packed(model))
    weights = max((buffer for buffer in model.buffers if buffer.data is not None), key=lambda buffer: len(buffer.data))
    weights.data, weights.offset, weights.size = None, 2**64 - 4096, len(weights.data)
    with pytest.raises(ArtifactError, match="weights from a file outside of the model"):
        TfliteEngine(packed(model))


def listing(count, *, name_size):
    """A model whose list of operators repeats one custom operator `count` times."""
    import flatbuffers

    builder = flatbuffers.Builder()
    name = builder.CreateString("x" * name_size)
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(1, name, 0)
    operator = builder.EndObject()
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(operator)
    operators = builder.EndVector()
    builder.StartObject(8)
    builder.PrependUOffsetTRelativeSlot(1, operators, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    return Artifact({}, {TFLITE_MODEL: bytes(builder.Output())})


@pytest.mark.parametrize("count, message", [(2000, "operators that no model"), (100_001, "it lists 100001 tables")])
def test_a_list_that_names_one_table_again_and_again(count, message):
    """Each entry of 4 bytes refers to a name of 100 kB: the first model has 0.1 MB, but 200 MB of names."""
    model = listing(count, name_size=100_000)
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match=message) as refused:
            TfliteEngine(model)
        assert tracemalloc.get_traced_memory()[1] < 20e6 and len(str(refused.value)) < 300
    finally:
        tracemalloc.stop()
