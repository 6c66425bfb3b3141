"""The protocol of engines, and the engine of each inference library."""

from __future__ import annotations

import importlib
from typing import Any, List, MutableMapping, Protocol, Tuple
from weakref import WeakValueDictionary

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.errors import ArtifactError

_ENGINES = {
    "onnxruntime": ("onnxruntime_engine", "OnnxRuntimeEngine"),
    "tflite": ("tflite_engine", "TfliteEngine"),
    "tensorflow": ("tensorflow_engine", "TensorflowEngine"),
}


_OPEN: MutableMapping[Tuple[Any, ...], Any] = WeakValueDictionary()


class Engine(Protocol):
    """Runs the graph of an artifact; safe to call from several threads."""

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> List[np.ndarray]:
        """The outputs of the graph for a batch, such as logits (B, C), logits of tags (B, T, K) or states (B, T, H).

        Args:
            input_ids: `(B, T)` int64.
            attention_mask: `(B, T)` int64, 1 for a wordpiece, 0 for padding.
        """


def open_engine(artifact: Artifact, *, num_threads: int = 1) -> Engine:
    """The engine for which an artifact was exported; the same model shares one engine within a process.

    Args:
        artifact: an artifact with a graph.
        num_threads: the number of threads of one call; 0 means all cores.

    Raises:
        RuntimeMissingError: if the library of the runtime is not installed.
        ArtifactError: if the runtime is unknown, or refuses the graph.
    """
    runtime = artifact.manifest["runtime"]
    if runtime not in _ENGINES:
        raise ArtifactError(f"The model needs the unknown runtime '{runtime}'; known ones: {', '.join(_ENGINES)}.")
    key = (runtime, num_threads, artifact.digest, *artifact.manifest.get("graph_weights", ()))
    engine = _OPEN.get(key)
    if engine is None:
        module, name = _ENGINES[runtime]
        engine_class = getattr(importlib.import_module(f"rasa_compressed_bert.runtime.{module}"), name)
        engine = _OPEN[key] = engine_class(artifact, num_threads=num_threads)
    return engine


def run_message(engine: Engine, input_ids: np.ndarray) -> List[np.ndarray]:
    """Runs a graph on one message.

    Several messages are run one by one: a dynamically quantized product has one scale for a whole batch, so that the
    outputs of a message would depend on the other messages of its batch and on padding.

    Args:
        engine: the engine of the graph.
        input_ids: the wordpiece ids of the message, `(T,)`.

    Returns:
        The outputs of the engine without their first axis: logits `(C,)`, logits of tags or states `(T, K)`.
    """
    batch = input_ids.astype(np.int64)[np.newaxis]  # (1, T)
    return [output[0] for output in engine.run(batch, np.ones_like(batch))]
