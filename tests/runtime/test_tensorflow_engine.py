"""Batches of messages through TensorFlow."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import TENSORFLOW_GRAPH, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.export.packing import pack
from rasa_compressed_bert.export.tensorflow_graph import to_graph_def
from rasa_compressed_bert.runtime.tensorflow_engine import TensorflowEngine

SHAPE = random_shape(UNEVEN)
PARAMETERS = random_parameters(SHAPE)


@pytest.fixture(scope="module")
def artifact():
    tensors = pack(SHAPE, PARAMETERS, QuantizationConfig(method="none"))
    return Artifact({}, {TENSORFLOW_GRAPH: to_graph_def(SHAPE, tensors), WEIGHTS: tensors_to_bytes(tensors)})


def batch(*lengths):
    ids, mask = random_batch(SHAPE, lengths=lengths)
    return ids.astype(np.int64), mask.astype(np.int64)


def test_threads_give_the_same_answers(artifact):
    engine = TensorflowEngine(artifact, num_threads=0)
    messages = [batch(length) for length in (3, 40, 17, 3, 9)] * 20
    alone = [engine.run(*message)[0] for message in messages]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda message: engine.run(*message)[0], messages))
    for one, other in zip(alone, together):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_number_of_threads_is_set_in_a_process_that_has_not_computed(artifact, tmp_path):
    for name, data in artifact.files.items():
        (tmp_path / name).write_bytes(data)
    code = f"""
import pathlib, tensorflow
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.runtime.tensorflow_engine import TensorflowEngine
files = {{path.name: path.read_bytes() for path in pathlib.Path({str(tmp_path)!r}).iterdir()}}
for num_threads in (1, 2):
    TensorflowEngine(Artifact({{}}, files), num_threads=num_threads)
    print(tensorflow.config.threading.get_intra_op_parallelism_threads())
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["1", "1"]


@pytest.mark.parametrize("name", [TENSORFLOW_GRAPH, WEIGHTS])
@pytest.mark.parametrize("data", [b"", b"no model", None])
def test_damaged_files_are_refused(artifact, name, data):
    files = {**artifact.files, name: artifact.files[name][:-100] if data is None else data}
    with pytest.raises(ArtifactError):
        TensorflowEngine(Artifact({}, files))


def test_missing_weights_are_refused(artifact):
    tensors = pack(SHAPE, {**PARAMETERS}, QuantizationConfig(method="none"))
    del tensors["layers.1.output.bias"]
    with pytest.raises(ArtifactError, match="layers.1.output.bias"):
        TensorflowEngine(Artifact({}, {**artifact.files, WEIGHTS: tensors_to_bytes(tensors)}))


def test_weights_of_another_shape_are_refused(artifact):
    tensors = pack(SHAPE, {**PARAMETERS}, QuantizationConfig(method="none"))
    tensors["layers.1.output.bias"] = tensors["layers.1.output.bias"][:-1]
    with pytest.raises(ArtifactError):
        TensorflowEngine(Artifact({}, {**artifact.files, WEIGHTS: tensors_to_bytes(tensors)}))


@pytest.mark.parametrize("operator", ["ReadFile", "WriteFile", "PyFunc", "LoadLibrary"])
def test_no_other_operator_runs(artifact, operator):
    """Some operators read and write files: a graph may have only those of our forward pass."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(artifact.files[TENSORFLOW_GRAPH])
    graph.node.add(name="other", op=operator)
    with pytest.raises(ArtifactError, match=f"operators that no forward pass needs: .*{operator}"):
        TensorflowEngine(Artifact({}, {**artifact.files, TENSORFLOW_GRAPH: graph.SerializeToString()}))


def test_no_function_runs(artifact):
    """A function has its own body of operators."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(artifact.files[TENSORFLOW_GRAPH])
    graph.library.function.add()
    with pytest.raises(ArtifactError, match="functions"):
        TensorflowEngine(Artifact({}, {**artifact.files, TENSORFLOW_GRAPH: graph.SerializeToString()}))
