"""The inference libraries behind one protocol."""

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
        """What the graph gives for a batch: logits (B, C), logits of tags (B, T, K), or both; else states (B, T, H).

        Args:
            input_ids: `(B, T)` int64.
            attention_mask: `(B, T)` int64, 1 for a wordpiece, 0 for padding.
        """


def open_engine(artifact: Artifact, *, num_threads: int = 1) -> Engine:
    """The engine that an artifact was exported for; one in a process for all who serve the same model.

    Args:
        artifact: with the graph of a runtime.
        num_threads: of one call; 0 means all cores.

    Raises:
        RuntimeMissingError: if the runtime's library is not installed.
        ArtifactError: if the runtime is unknown here, or refuses the graph.
    """
    runtime = artifact.manifest["runtime"]
    if runtime not in _ENGINES:
        raise ArtifactError(f"The model is for the runtime '{runtime}'; known here: {', '.join(_ENGINES)}.")
    key = (runtime, num_threads, artifact.digest, *artifact.manifest.get("graph_weights", ()))
    engine = _OPEN.get(key)
    if engine is None:
        module, name = _ENGINES[runtime]
        engine_class = getattr(importlib.import_module(f"rasa_compressed_bert.runtime.{module}"), name)
        engine = _OPEN[key] = engine_class(artifact, num_threads=num_threads)
    return engine


def run_message(engine: Engine, input_ids: np.ndarray) -> List[np.ndarray]:
    """What a graph gives for one message.

    Whoever has several messages calls this for each of them: a dynamically quantized product has one scale for a whole
    batch, so that in a batch what a message gets would depend on the other messages and on padding.

    Args:
        engine: of the graph.
        input_ids: wordpieces of the message, `(T,)`.

    Returns:
        The outputs of the engine without their first axis: logits `(C,)`, logits of tags or states `(T, K)`.
    """
    batch = input_ids.astype(np.int64)[np.newaxis]  # (1, T)
    return [output[0] for output in engine.run(batch, np.ones_like(batch))]
