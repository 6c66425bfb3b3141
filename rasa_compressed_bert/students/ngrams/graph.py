"""The serving graph of ngrams."""

from __future__ import annotations

from typing import Mapping

import numpy as np
from onnx import TensorProto

from rasa_compressed_bert.export.graph import INPUT_IDS, OnnxModel
from rasa_compressed_bert.export.student_graph import StudentGraph
from rasa_compressed_bert.students.ngrams.hashing import PAIR_FACTOR


def ngrams_model(tensors: Mapping[str, np.ndarray]) -> OnnxModel:
    """The ONNX graph of `students.ngrams.layer.NGrams`: ids and mask (B, T) int64 to logits (B, C), features (B, P)."""
    graph = StudentGraph(tensors)
    words = graph.summed(graph.rows("embeddings.word", INPUT_IDS), graph.mask)
    first, second = graph.columns(INPUT_IDS, 0, -1), graph.columns(INPUT_IDS, 1, None)
    hashed = graph.add("Add", [graph.add("Mul", [first, graph.constant("factor", [PAIR_FACTOR])]), second])
    buckets = graph.add("Mod", [hashed, graph.constant("buckets", [len(tensors["embeddings.pair"])])])
    pairs = graph.summed(graph.rows("embeddings.pair", buckets), graph.columns(graph.mask, 1, None))
    count = graph.add("Cast", [graph.length()], to=TensorProto.FLOAT)  # (B,)
    size = graph.add("Unsqueeze", [graph.add("Sqrt", [count]), graph.constant("last", [-1])])
    return graph.classified(graph.add("Div", [graph.add("Add", [words, pairs]), size]))
