"""Adds the hidden states to the outputs of a trained model, for vectors of words and of texts."""

from __future__ import annotations

from rasa_compressed_bert.artifact.artifact import GRAPH, TOKENIZER, VIEWS, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.export.onnx_graph import onnx_model
from rasa_compressed_bert.export.packing import packed_tensors
from rasa_compressed_bert.models.shape import EncoderShape


def document_artifact(artifact: Artifact) -> Artifact:
    """An artifact with the same weights for ONNX Runtime, whose last output is the hidden states (B, T, H).

    Args:
        artifact: a BERT that predicts intents, entities or both, for any runtime.
    """
    shape = EncoderShape.from_dict(artifact.manifest["encoder"])
    tensors = packed_tensors(artifact)
    graph = onnx_model(shape, tensors, features=True, states=True)
    outputs = [output.name for output in graph.proto.graph.output]
    served = {"runtime": "onnxruntime", "graph_weights": graph.weights, "outputs": outputs}
    kept = [name for name in (TOKENIZER, VIEWS) if name in artifact.files]
    return Artifact(
        {**artifact.manifest, **served, "pooling": "cls" if "pooler.bias" in tensors else "mean"},
        {
            **{name: artifact.files[name] for name in kept},
            WEIGHTS: tensors_to_bytes(tensors),
            GRAPH: graph.proto.SerializeToString(),
        },
    )
