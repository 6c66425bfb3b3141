"""A trained intent model as an artifact, or not at all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Mapping, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import GRAPH, TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.export.onnx_graph import LOGITS, EncoderGraph
from rasa_compressed_bert.export.packing import pack
from rasa_compressed_bert.export.parity import check, compare
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.runtime.intent_predictor import softmax
from rasa_compressed_bert.runtime.onnxruntime_engine import OnnxRuntimeEngine

KIND = "intent_classifier"


def export_intent_classifier(
    shape: EncoderShape,
    parameters: Parameters,
    *,
    tokenizer: str,
    quantization: QuantizationConfig,
    manifest: Mapping[str, Any],
    input_ids: Sequence[np.ndarray],
    logits: np.ndarray,
    classes: np.ndarray,
) -> Artifact:
    """Builds the serving graph, serves messages with it and compares.

    Args:
        shape: the encoder's widths.
        parameters: of encoder and head.
        tokenizer: the `tokenizers` library's JSON.
        quantization: what happens to the weights.
        manifest: labels, max_length, temperature, and whatever else shall be known of the model.
        input_ids: messages to compare on, `n` arrays of `(T_i,)`.
        logits: the trained model's for these messages, `(n, C)`.

        classes: the labels of these messages, `(n,)`.

    Raises:
        ExportError: if the exported model disagrees with the trained one.
    """
    tensors = pack(
        shape,
        parameters,
        int8=quantization.method == "dynamic_int8",
        per_channel=quantization.per_channel,
    )
    graph = EncoderGraph(shape, tensors)
    graph.classify(graph.encode())
    artifact = Artifact(
        {
            **manifest,
            "kind": KIND,
            "encoder": shape.to_dict(),
            "quantization": {"method": quantization.method, "per_channel": quantization.per_channel},
            "graph_weights": graph.weights(),
        },
        {
            TOKENIZER: tokenizer.encode("utf-8"),
            GRAPH: graph.model(LOGITS, ["batch", len(manifest["labels"])]).SerializeToString(),
            WEIGHTS: tensors_to_bytes(tensors),
        },
    )
    engine = OnnxRuntimeEngine(artifact)
    served = [engine.run(ids[np.newaxis].astype(np.int64), np.ones((1, len(ids)), np.int64))[0] for ids in input_ids]
    temperature = manifest["temperature"]
    parity = compare(
        np.array([softmax(row, temperature) for row in logits]), np.array([softmax(row, temperature) for row in served])
    )
    check(parity)
    served_accuracy = float(np.mean(np.argmax(served, axis=1) == classes))
    return Artifact({**artifact.manifest, "parity": {**asdict(parity), "accuracy": served_accuracy}}, artifact.files)
