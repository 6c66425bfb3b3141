"""A trained student as an artifact, or not at all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, Mapping, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import GRAPH, INTENT_CLASSIFIER, TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import QuantizationConfig, StudentConfig
from rasa_compressed_bert.export.graph import FEATURES, LOGITS, OnnxModel
from rasa_compressed_bert.export.packing import Tensors, pack_each
from rasa_compressed_bert.export.student_graph import bilstm_model, ngrams_model
from rasa_compressed_bert.export.task_model import TrainedOutput, checked


def export_student(
    parameters: Mapping[str, np.ndarray],
    student: StudentConfig,
    *,
    tokenizer: str,
    quantization: QuantizationConfig,
    manifest: Mapping[str, Any],
    input_ids: Sequence[np.ndarray],
    trained: TrainedOutput,
) -> Artifact:
    """Builds the serving graph of a bilstm or of ngrams, serves messages with it and compares.

    Args:
        parameters: of the trained student.
        student: its options.
        tokenizer: the `tokenizers` library's JSON.
        quantization: the format, `none` or `dynamic_int8`.
        manifest: labels, max_length, temperature, and whatever else shall be known of the model.
        input_ids: messages that it is compared on, `n` arrays of `(T_i,)`.
        trained: what the trained student gives for them.

    Raises:
        ExportError: if the exported student disagrees with the trained one.
    """
    tensors = pack_each(parameters, quantization)
    graph = student_model(student, tensors)
    described = {
        **manifest,
        "kind": INTENT_CLASSIFIER,
        "runtime": "onnxruntime",
        "graph_weights": graph.weights,
        "outputs": [LOGITS, FEATURES],
        "student": asdict(student),
        "quantization": asdict(quantization),
    }
    files: Dict[str, bytes] = {
        TOKENIZER: tokenizer.encode("utf-8"),
        GRAPH: graph.proto.SerializeToString(),
        WEIGHTS: tensors_to_bytes(tensors),
    }
    return checked(Artifact(described, files), input_ids, [trained])


def student_model(student: StudentConfig, tensors: Tensors) -> OnnxModel:
    """The graph of a student's architecture."""
    if student.architecture == "bilstm":
        return bilstm_model(tensors, pooling=student.pooling)
    return ngrams_model(tensors)
