"""Exports a trained model for other programs: one file with graph and weights, its tokenizer and its manifest."""

from __future__ import annotations

import json
from typing import Dict, Sequence

import numpy as np
from onnx import numpy_helper

from rasa_compressed_bert.artifact.artifact import (
    GRAPH,
    MANIFEST,
    SPACY_MODEL,
    TFLITE_MODEL,
    TOKENIZER,
    WEIGHTS,
    Artifact,
)
from rasa_compressed_bert.config import student_of, student_options
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export.onnx_graph import onnx_model
from rasa_compressed_bert.export.packing import packed_tensors, unpack
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

_DESCRIBED = (
    *("kind", "labels", "temperature", "entities", "responses", "answers", "max_length"),
    *("quantization", "encoder", "student"),
)


@as_artifact_error()
def onnx_files(artifact: Artifact) -> Dict[str, bytes]:
    """`model.onnx` in the format of the artifact, for ONNX Runtime only, as it uses operators of ONNX Runtime.

    Raises:
        ExportError: if there is nothing to export, or if the model is a spaCy pipeline.
        ArtifactError: if the parts of the artifact do not fit each other.
    """
    tensors = _tensors(artifact)
    if "encoder" in artifact.manifest:
        graph = onnx_model(EncoderShape.from_dict(artifact.manifest["encoder"]), tensors)
    else:
        options = student_options(artifact.manifest["student"])
        graph = student_of(options.architecture).graph(options, tensors)
    inside = [numpy_helper.from_array(tensors[name], name) for name in graph.weights]
    others = [tensor for tensor in graph.proto.graph.initializer if tensor.name not in graph.weights]
    del graph.proto.graph.initializer[:]
    graph.proto.graph.initializer.extend([*inside, *others])
    return {GRAPH: graph.proto.SerializeToString(), **_description(artifact)}


@as_artifact_error()
def tflite_files(artifact: Artifact, *, quantization: str, texts: Sequence[str]) -> Dict[str, bytes]:
    """`model.tflite` with builtin operators, from ids and mask (1, T) int32 of any length to logits or hidden states.

    Args:
        artifact: a trained model.
        quantization: `none`, `dynamic_int8`, or `static_int8`, which is calibrated on `texts`.
        texts: messages.

    Raises:
        ExportError: if there is nothing to export or to calibrate on, or if the model is not a BERT.
        ArtifactError: if the parts of the artifact do not fit each other.
    """
    from rasa_compressed_bert.export.tflite import to_tflite  # TensorFlow is slow to import
    from rasa_compressed_bert.models.task_model import forward_pass

    tensors = _tensors(artifact)
    if "encoder" not in artifact.manifest:
        raise ExportError(
            "This student is not a BERT, and only ONNX Runtime can serve it: export it with --format onnx."
        )
    shape = EncoderShape.from_dict(artifact.manifest["encoder"])
    tokenizer = WordpieceTokenizer(artifact.files[TOKENIZER].decode("utf-8"), artifact.max_length)
    forward, messages = forward_pass(shape, unpack(shape, tensors)), tokenizer.encode_all(texts)
    model = to_tflite(forward, quantization=quantization, calibration=messages)
    return {TFLITE_MODEL: model, **_description(artifact)}


def _tensors(artifact: Artifact) -> Dict[str, np.ndarray]:
    if SPACY_MODEL in artifact.files:
        raise ExportError("This student is a spaCy pipeline, which only spaCy can serve.")
    if WEIGHTS not in artifact.files:
        raise ExportError("The model had no training data: there is nothing to export.")
    return packed_tensors(artifact)


def _description(artifact: Artifact) -> Dict[str, bytes]:
    """The tokenizer, and a manifest with labels (in the order of the logits), the temperature of logits, and more.

    The settings of pretrained weights may ask the tokenizer to pad every message, which serving does not: it would take
    longer, and change the scales of activations in 8 bits and with them the outputs.
    """
    values = {name: artifact.manifest[name] for name in _DESCRIBED if name in artifact.manifest}
    tokenizer = WordpieceTokenizer(artifact.files[TOKENIZER].decode("utf-8"), artifact.max_length)
    return {TOKENIZER: tokenizer.serialized.encode("utf-8"), MANIFEST: json.dumps(values, indent=1).encode("ascii")}
