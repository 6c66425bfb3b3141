"""Exports a trained student as an artifact, with a parity check."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Callable, Dict, Mapping, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import GRAPH, INTENT_CLASSIFIER, TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import QuantizationConfig, StudentConfig
from rasa_compressed_bert.export.graph import OnnxModel
from rasa_compressed_bert.export.packing import Tensors, pack_each
from rasa_compressed_bert.export.student_graph import student_outputs
from rasa_compressed_bert.export.task_model import TrainedOutput, checked


def export_student(
    parameters: Mapping[str, np.ndarray],
    options: StudentConfig,
    *,
    graph: Callable[[StudentConfig, Tensors], OnnxModel],
    tokenizer: str,
    quantization: QuantizationConfig,
    manifest: Mapping[str, Any],
    input_ids: Sequence[np.ndarray],
    trained: Sequence[TrainedOutput],
) -> Artifact:
    """Builds the serving graph of a student, runs messages through it and compares the outputs.

    Args:
        parameters: the parameters of the trained student.
        options: its options.
        graph: makes a graph from options and packed parameters.
        tokenizer: the `tokenizers` library's JSON.
        quantization: the format, `none` or `dynamic_int8`.
        manifest: labels, max_length, temperature, and further manifest entries.
        input_ids: messages to compare on, `n` arrays of `(T_i,)`.
        trained: the outputs of the trained student for these messages.

    Raises:
        ExportError: if the exported student disagrees with the trained one.
    """
    tensors = pack_each(parameters, quantization)
    model = graph(options, tensors)
    described = {
        **manifest,
        "kind": INTENT_CLASSIFIER,
        "runtime": "onnxruntime",
        "graph_weights": model.weights,
        "outputs": student_outputs(tensors),
        "student": asdict(options),
        "quantization": asdict(quantization),
    }
    files: Dict[str, bytes] = {
        TOKENIZER: tokenizer.encode("utf-8"),
        GRAPH: model.proto.SerializeToString(),
        WEIGHTS: tensors_to_bytes(tensors),
    }
    return checked(Artifact(described, files), input_ids, trained)
