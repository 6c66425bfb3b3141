"""Builds the artifact of a model for its runtime."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import GRAPH, TENSORFLOW_GRAPH, TFLITE_MODEL, TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.compression.quantization import NOT_CALIBRATED, Calibration
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.export.graph import FEATURES, HIDDEN_STATES
from rasa_compressed_bert.export.onnx_graph import onnx_model
from rasa_compressed_bert.export.packing import Tensors, pack, unpack
from rasa_compressed_bert.models.head_layer import layers_in
from rasa_compressed_bert.models.state import ModelState


class Format(NamedTuple):
    """The format of an export.

    Attributes:
        quantization: the options.
        runtime: `onnxruntime`, `tflite` or `tensorflow`.
        calibration: the calibration of the quantization.
        messages: wordpiece ids of messages, for TFLite, whose conversion calibrates by itself.
    """

    quantization: QuantizationConfig
    runtime: str = "onnxruntime"
    calibration: Calibration = NOT_CALIBRATED
    messages: Sequence[np.ndarray] = ()


def serving_artifact(model: ModelState, form: Format, *, kind: str, manifest: Mapping[str, Any]) -> Artifact:
    """Makes the artifact of a model, which serves the outputs of its heads or, without any, its hidden states."""
    tensors = pack(model.shape, model.parameters, form.quantization, form.calibration)
    graph_file, graph_manifest = _GRAPHS[form.runtime](model, form, tensors)
    return Artifact(
        {
            **manifest,
            **graph_manifest,
            "kind": kind,
            "runtime": form.runtime,
            "outputs": outputs_of(tensors),
            "encoder": model.shape.to_dict(),
            "quantization": asdict(form.quantization),
        },
        {TOKENIZER: model.tokenizer.encode("utf-8"), **graph_file, WEIGHTS: tensors_to_bytes(tensors)},
    )


def outputs_of(tensors: Tensors) -> List[str]:
    """The names of a graph's outputs, in their order: see `onnx_graph.onnx_model` with features."""
    names: List[str] = []
    for layer in layers_in(tensors):
        names.append(layer.output)
        if not layer.per_wordpiece and FEATURES not in names:
            names.append(FEATURES)
    return names or [HIDDEN_STATES]


def _onnx(model: ModelState, form: Format, tensors: Tensors) -> Tuple[Dict[str, bytes], Dict[str, Any]]:
    graph = onnx_model(model.shape, tensors, features=True)
    return {GRAPH: graph.proto.SerializeToString()}, {"graph_weights": graph.weights}


def _tflite(model: ModelState, form: Format, tensors: Tensors) -> Tuple[Dict[str, bytes], Dict[str, Any]]:
    from rasa_compressed_bert.export.tflite import to_tflite  # TensorFlow is slow to import
    from rasa_compressed_bert.models.task_model import forward_pass

    quantization = "dynamic_int8" if form.quantization.method == "kmeans" else form.quantization.method
    forward = forward_pass(model.shape, unpack(model.shape, tensors), features=True)
    return {TFLITE_MODEL: to_tflite(forward, quantization=quantization, calibration=form.messages)}, {}


def _tensorflow(model: ModelState, form: Format, tensors: Tensors) -> Tuple[Dict[str, bytes], Dict[str, Any]]:
    from rasa_compressed_bert.export.tensorflow_graph import to_graph_def

    return {TENSORFLOW_GRAPH: to_graph_def(model.shape, tensors)}, {}


_GRAPHS = {"onnxruntime": _onnx, "tflite": _tflite, "tensorflow": _tensorflow}
