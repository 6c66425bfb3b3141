"""Serving with ONNX Runtime on a CPU."""

from __future__ import annotations

import logging
from typing import Any, List, Mapping

import numpy as np

from rasa_compressed_bert.artifact.artifact import FORMAT_VERSION, GRAPH, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.errors import ArtifactError, RuntimeMissingError
from rasa_compressed_bert.runtime.own_weights import require_own_weights

logger = logging.getLogger(__name__)
_FIRST_PADDED = 5
"""The first format version whose graphs pad int8 kernels, see `COLUMN_MULTIPLE` in `export/graph.py`."""
_OF_FEATURES = ("pooler.kernel", "dense.kernel", "classifier.kernel", "selector.kernel")
"""The kernels that are multiplied by a single row for each message."""


class OnnxRuntimeEngine:
    """Runs an artifact's graph; safe to call from several threads.

    Args:
        artifact: an artifact with a graph and its weights.
        num_threads: the number of threads of one call; 0 means all cores.

    Raises:
        RuntimeMissingError: if ONNX Runtime is not installed.
        ArtifactError: if ONNX Runtime refuses the graph, or if the graph refers to other files.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        try:
            import onnxruntime
        except ImportError as error:
            raise RuntimeMissingError("The runtime 'onnxruntime' is not installed: pip install onnxruntime") from error
        graph, names = artifact.files[GRAPH], artifact.manifest["graph_weights"]
        require_own_weights(graph, names)
        tensors = tensors_from_bytes(artifact.files[WEIGHTS])
        if artifact.manifest.get("format_version", FORMAT_VERSION) < _FIRST_PADDED:
            _warn_of_unpadded_kernels({name: tensors[name] for name in names})
        options = _session_options(onnxruntime, num_threads)
        try:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensors[name]) for name in names]
            options.add_external_initializers(names, values)
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise ArtifactError(f"ONNX Runtime cannot load the model: {error}") from error

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> List[np.ndarray]:
        """The outputs of the graph for a batch.

        Args:
            input_ids: `(B, T)` int64.
            attention_mask: `(B, T)` int64, 1 for a wordpiece, 0 for padding.

        Raises:
            ArtifactError: if the graph fails, for example on ids of another model's tokenizer.
        """
        try:
            return self._session.run(None, {"input_ids": input_ids, "attention_mask": attention_mask})
        except Exception as error:  # as above
            raise ArtifactError(f"ONNX Runtime cannot run the model: {error}") from error


def _session_options(onnxruntime: Any, num_threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the arena never frees what the longest message needed
    options.log_severity_level = 3
    options.add_session_config_entry("session.load_model_format", "ONNX")  # its own format would not be checked
    return options


def _warn_of_unpadded_kernels(weights: Mapping[str, np.ndarray]) -> None:
    """Warns if an older graph has int8 kernels whose number of columns is not a multiple of 16."""
    kernels = [weights[name] for name in weights if name.endswith(".kernel") and name not in _OF_FEATURES]
    if any(kernel.dtype == np.int8 and kernel.shape[1] % 16 for kernel in kernels):
        logger.warning(
            "This model was trained with version 0.2.0 or older. On Intel processors with AMX (since Sapphire Rapids) "
            "ONNX Runtime 1.21 to 1.23 computes wrong results for messages of 32 wordpieces or more: train it again."
        )
