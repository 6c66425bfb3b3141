"""A TFLite model computes what the Keras model computes that it was converted from."""

from functools import lru_cache

import numpy as np
import pytest
from random_models import UNEVEN, random_batch, random_parameters, random_shape
from tensorflow.lite.python.schema_py_generated import TensorType
from tensorflow.lite.tools import flatbuffer_utils

from rasa_compressed_bert.artifact.artifact import TFLITE_MODEL, Artifact
from rasa_compressed_bert.compression.quantization import quantize_uniform
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export.tflite import to_tflite
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.tflite_engine import TfliteEngine

pytestmark = pytest.mark.slow

SHAPES = {
    "dense": {},
    "uneven": {"layers": UNEVEN},
    "gelu_new": {"layers": UNEVEN, "hidden_act": "gelu_new"},
    "relu": {"layers": UNEVEN, "hidden_act": "relu"},
    "relative positions": {"layers": UNEVEN, "relative_buckets": 32},
    "narrow embeddings": {"layers": UNEVEN, "embedding_size": 24},
    "token types": {"layers": UNEVEN, "separator": 7},
    "no layers": {"layers": ()},
    "no heads at all": {"layers": ((0, 0, 0, 16), (0, 0, 0, 0))},
}
INT8 = ("dynamic_int8", "static_int8")
FARTHEST = {"none": 1e-4, "dynamic_int8": 0.1, "static_int8": 0.4}  # the mean absolute logit is 0.5 to 0.8
ON_AVERAGE = {"none": 1e-5, "dynamic_int8": 0.02, "static_int8": 0.04}


def messages(*, lengths=(5, 40, 9, 12, 3, 20) * 3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 50, length) for length in lengths]


def logits_of(model):
    return lambda input_ids, attention_mask: model(input_ids, attention_mask).heads["logits"]


def engine_of(data):
    return TfliteEngine(Artifact({}, {TFLITE_MODEL: data}))


def run(engine, ids):
    return engine.run(ids[np.newaxis].astype(np.int64), np.ones((1, len(ids)), np.int64))[0]


def assert_close(model, data, *, farthest, on_average):
    engine, differences = engine_of(data), []
    for ids in messages(lengths=(3, 40, 17, 4, 9, 25), seed=1):
        expected = model(ids[np.newaxis], np.ones((1, len(ids)), np.int32)).heads["logits"].numpy()
        differences.append(np.abs(run(engine, ids) - expected))
    assert np.max(differences) < farthest and np.mean(differences) < on_average


@lru_cache(maxsize=None)
def exported(name, quantization, pooler_size=0):
    shape = random_shape(**SHAPES[name])
    model = TaskModel(shape, random_parameters(shape, pooler_size=pooler_size))
    return model, to_tflite(logits_of(model), quantization=quantization, calibration=messages())


@pytest.mark.parametrize(
    "name, pooler_size, quantization",
    [
        *((name, 0, "none") for name in SHAPES),
        *(
            (name, 0, quantization)
            for name in ("uneven", "relu", "narrow embeddings", "relative positions", "no heads at all")
            for quantization in INT8
        ),
        *(("uneven", 16, quantization) for quantization in FARTHEST),
    ],
)
def test_logits_of_any_length(name, pooler_size, quantization):
    model, data = exported(name, quantization, pooler_size)
    assert_close(model, data, farthest=FARTHEST[quantization], on_average=ON_AVERAGE[quantization])


@pytest.mark.parametrize("quantization", FARTHEST)
def test_hidden_states(quantization):
    shape = random_shape(UNEVEN)
    encoder = BertEncoder(shape, random_parameters(shape))
    data = to_tflite(lambda ids, mask: encoder(ids, mask)[-1], quantization=quantization, calibration=messages())
    ids, mask = random_batch(shape, lengths=(11,))
    states, expected = run(engine_of(data), ids[0])[0], encoder(ids, mask)[-1].numpy()[0]  # (T, H)
    cosine = (states * expected).sum(1) / np.linalg.norm(states, axis=1) / np.linalg.norm(expected, axis=1)
    assert states.shape == (11, 32)
    assert cosine.min() > {"none": 0.999999, "dynamic_int8": 0.999, "static_int8": 0.99}[quantization]


@pytest.mark.parametrize("quantization", INT8)
def test_columns_and_rows_of_very_different_size(quantization):
    """One scale per matrix would round most of these to 0, and biases are larger than everything else."""
    shape = random_shape()
    parameters = random_parameters(shape)
    parameters["embeddings.word"] *= np.geomspace(0.01, 10, shape.vocab_size, dtype=np.float32)[:, np.newaxis]
    sizes = np.geomspace(1e-3, 1e3, 32, dtype=np.float32)
    for part in ("kernel", "bias"):
        parameters[f"layers.0.query.{part}"] *= sizes
        parameters[f"layers.0.key.{part}"] /= sizes
    parameters["classifier.kernel"][:, 0] *= 1e-3
    model = TaskModel(shape, parameters)
    data = to_tflite(logits_of(model), quantization=quantization, calibration=messages())
    assert_close(model, data, farthest=FARTHEST[quantization], on_average=ON_AVERAGE[quantization])


@pytest.mark.parametrize("quantization", INT8)
def test_zeros(quantization):
    """The converter merges equal matrices and drops zero biases."""
    shape = random_shape()
    parameters = random_parameters(shape)
    for name in parameters:
        if name.endswith(("bias", "beta")) or ".query." in name:
            parameters[name] = np.zeros_like(parameters[name])
    model = TaskModel(shape, parameters)
    data = to_tflite(logits_of(model), quantization=quantization, calibration=messages())
    assert_close(model, data, farthest=FARTHEST[quantization], on_average=ON_AVERAGE[quantization])


@pytest.mark.parametrize("quantization", INT8)
def test_integers_are_those_of_our_own_quantization(quantization):
    model, data = exported("uneven", quantization)
    parsed = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    tables = [
        np.asarray(parsed.buffers[tensor.buffer].data, np.uint8).view(np.int8).reshape(tensor.shape)
        for tensor in parsed.subgraphs[0].tensors
        if tensor.type == TensorType.INT8 and parsed.buffers[tensor.buffer].data is not None
    ]
    expected = [
        quantize_uniform(value if name == "embeddings.word" else value.T, axis=1).values
        for name, value in model.values().items()
        if value.ndim == 2 and value.size and name != "embeddings.position"
    ]
    assert sorted(table.tobytes() for table in tables) == sorted(table.tobytes() for table in expected)


@pytest.mark.parametrize("quantization", FARTHEST)
def test_every_operator_is_builtin_and_no_floats_are_left_over(quantization):
    model, data = exported("uneven", quantization)
    parsed = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    assert not any(code.customCode for code in parsed.operatorCodes)
    weights = sum(value.size for value in model.values().values())
    assert sum(len(buffer.data) for buffer in parsed.buffers if buffer.data is not None) < weights * (
        4.2 if quantization == "none" else 1.7  # positions and norms stay in floats, a sixth of this model
    )


def test_export_is_repeatable():
    _, data = exported("no heads at all", "static_int8")
    exported.cache_clear()
    assert exported("no heads at all", "static_int8")[1] == data


def test_nothing_to_calibrate_on():
    with pytest.raises(ExportError, match="messages to calibrate on"):
        to_tflite(logits_of(exported("no layers", "none")[0]), quantization="static_int8", calibration=[])
