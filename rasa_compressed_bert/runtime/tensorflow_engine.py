"""Serving with TensorFlow on a CPU: the reference, in 32-bit floats for every format of the weights."""

from __future__ import annotations

from typing import Any, List, Mapping

import numpy as np

from rasa_compressed_bert.artifact.artifact import TENSORFLOW_GRAPH, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.dequantization import dequantized
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.errors import ArtifactError, RuntimeMissingError

_INPUTS = ("input_ids", "attention_mask")
_OUTPUT = "output"  # prefix of the names of outputs
_OPERATORS = frozenset(  # those of the forward pass; others could read and write files
    "AddV2 BatchMatMulV2 BiasAdd Cast ConcatV2 Const Cumsum Einsum Equal Erf Fill GatherV2 Identity MatMul Max Maximum "
    "Mean Minimum Mul Pack Pad Placeholder Pow RealDiv Relu Reshape Rsqrt Shape Softmax SquaredDifference StopGradient "
    "StridedSlice Sub Sum Tanh".split()
)


class TensorflowEngine:
    """Runs an artifact's TensorFlow graph; safe to call from several threads.

    Args:
        artifact: an artifact with a graph and its weights.
        num_threads: the number of threads of one call; 0 means all cores. It applies to all of TensorFlow in the
            process, and has no effect if TensorFlow has already run something.

    Raises:
        RuntimeMissingError: if TensorFlow is not installed.
        ArtifactError: if TensorFlow refuses the graph.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        try:
            import tensorflow as tf
        except ImportError as error:
            raise RuntimeMissingError("The runtime 'tensorflow' is not installed: pip install tensorflow") from error
        try:
            tf.config.threading.set_intra_op_parallelism_threads(num_threads)
        except RuntimeError:  # TensorFlow has already run something
            pass
        floats = dequantized(tensors_from_bytes(artifact.files[WEIGHTS]))
        try:
            graph = tf.compat.v1.GraphDef.FromString(artifact.files[TENSORFLOW_GRAPH])
            _require_known(graph)
            outputs = [f"{node.name}:0" for node in graph.node if node.name.startswith(_OUTPUT)]
            names = [node.name for node in graph.node if node.op == "Placeholder" and node.name not in _INPUTS]
            weights = {name: tf.constant(_read(floats, name)) for name in names}

            def run(*batch: tf.Tensor) -> List[tf.Tensor]:
                inputs = {name: tf.identity(tensor) for name, tensor in weights.items()}
                inputs.update(zip(_INPUTS, batch))
                return tf.import_graph_def(graph, inputs, return_elements=outputs)

            signature = [tf.TensorSpec([None, None], tf.int32)] * len(_INPUTS)
            self._run = tf.function(run, input_signature=signature, autograph=False).get_concrete_function()
        except Exception as error:  # TensorFlow's errors have no common base
            raise ArtifactError(f"TensorFlow cannot load the model: {error}") from error
        self._constant = tf.constant

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> List[np.ndarray]:
        """The outputs of the graph for a batch.

        Args:
            input_ids: `(B, T)` int64.
            attention_mask: `(B, T)` int64, 1 for a wordpiece, 0 for padding.

        Raises:
            ArtifactError: if the graph fails, for example on ids of another model's tokenizer.
        """
        batch = (self._constant(values, "int32") for values in (input_ids, attention_mask))
        try:
            return [output.numpy() for output in self._run(*batch)]
        except Exception as error:  # as above
            raise ArtifactError(f"TensorFlow cannot run the model: {error}") from error


def _require_known(graph: Any) -> None:
    unknown = {node.op for node in graph.node} - _OPERATORS
    if unknown or len(graph.library.function):
        raise ValueError(f"it has operators that no forward pass needs: {sorted(unknown) or 'functions'}")


def _read(floats: Mapping[str, np.ndarray], placeholder: str) -> np.ndarray:
    """A tensor, or the columns of it that the name of the placeholder specifies."""
    name, *columns = placeholder.split("/")
    return floats[name][..., slice(*map(int, columns))] if columns else floats[name]
