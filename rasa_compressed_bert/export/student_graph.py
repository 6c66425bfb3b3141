"""The serving graphs of the students that are no BERT."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np
from onnx import TensorProto, helper

from rasa_compressed_bert.artifact.dequantization import SCALE
from rasa_compressed_bert.config import PAIR_FACTOR
from rasa_compressed_bert.export.graph import ATTENTION_MASK, CONTRIB, FEATURES, INPUT_IDS, LOGITS, Graph, OnnxModel

_DIRECTIONS = ("forward", "backward")
_FAR_BELOW, _TO_THE_END = "far_below", 2**31


def bilstm_model(tensors: Mapping[str, np.ndarray], *, pooling: str) -> OnnxModel:
    """Ids and mask (B, T) int64 to logits (B, C) and features (B, P): what `students.bilstm.BiLstm` computes.

    Args:
        tensors: its parameters, packed.
        pooling: `max` or `last`.
    """
    graph = _StudentGraph(tensors)
    embedded = graph.rows("embeddings.word", INPUT_IDS)  # (B, T, E)
    steps = graph.add("Transpose", [embedded], perm=[1, 0, 2])  # (T, B, E)
    lengths = graph.add("Cast", [graph.length()], to=TensorProto.INT32)  # (B,)
    pooled = [graph.pooled_lstm(steps, lengths, direction, pooling=pooling) for direction in _DIRECTIONS]
    return graph.classified(graph.add("Concat", pooled, axis=-1))


def ngrams_model(tensors: Mapping[str, np.ndarray]) -> OnnxModel:
    """Ids and mask (B, T) int64 to logits (B, C) and features (B, P): what `students.ngrams.NGrams` computes."""
    graph = _StudentGraph(tensors)
    words = graph.summed(graph.rows("embeddings.word", INPUT_IDS), graph.mask)
    first, second = graph.columns(INPUT_IDS, 0, -1), graph.columns(INPUT_IDS, 1, None)
    hashed = graph.add("Add", [graph.add("Mul", [first, graph.constant("factor", [PAIR_FACTOR])]), second])
    buckets = graph.add("Mod", [hashed, graph.constant("buckets", [len(tensors["embeddings.pair"])])])
    pairs = graph.summed(graph.rows("embeddings.pair", buckets), graph.columns(graph.mask, 1, None))
    count = graph.add("Cast", [graph.length()], to=TensorProto.FLOAT)  # (B,)
    size = graph.add("Unsqueeze", [graph.add("Sqrt", [count]), graph.constant("last", [-1])])
    return graph.classified(graph.add("Div", [graph.add("Add", [words, pairs]), size]))


class _StudentGraph(Graph):
    def __init__(self, tensors: Mapping[str, np.ndarray]):
        super().__init__(tensors)
        self.mask = self.add("Cast", [ATTENTION_MASK], to=TensorProto.FLOAT)  # (B, T)

    def length(self) -> str:
        """Wordpieces of each message.  # (B,)"""
        return self.add("ReduceSum", [ATTENTION_MASK, self.constant("last", [-1])], keepdims=0)

    def columns(self, x: str, start: int, end: Optional[int]) -> str:
        """`x[:, start:end]` of (B, T)."""
        bounds = (start, _TO_THE_END if end is None else end, 1)
        return self.add("Slice", [x, *(self.constant(f"at_{value}", [value]) for value in bounds)])

    def summed(self, rows: str, mask: str) -> str:
        """The sum of rows (B, T, E) under a mask (B, T).  # (B, E)"""
        product = self.add("MatMul", [self.add("Unsqueeze", [mask, self.constant("one", [1])]), rows])  # (B, 1, E)
        return self.add("Squeeze", [product, self.constant("one", [1])])

    def pooled_lstm(self, steps: str, lengths: str, direction: str, *, pooling: str) -> str:
        """One direction of an LSTM over (T, B, E), and its largest or its last state.  # (B, S)"""
        names = [f"{direction}.{name}.kernel" for name in ("input", "recurrent")]
        size = len(self.tensors[names[1]])
        zero = self.constant("zero", [0])
        bias = self.add("Unsqueeze", [self._both_biases(direction), zero])  # (1, 8 S)
        outputs = [f"{direction}.states", f"{direction}.last"]  # (T, 1, B, S), (1, B, S)
        attributes: Dict[str, Any] = {"hidden_size": size}
        attributes["direction"] = "reverse" if direction == "backward" else "forward"
        if names[0] + SCALE in self.tensors:
            kernels = [self.add("Unsqueeze", [name, zero]) for name in names]  # (1, E, 4 S), (1, S, 4 S)
            formats = [part for name in names for part in self._format(name)]
            inputs = [steps, *kernels, bias, lengths, "", "", "", *formats]
            node = helper.make_node("DynamicQuantizeLSTM", inputs, outputs, domain=CONTRIB, **attributes)
        else:
            kernels = [self.add("Unsqueeze", [self.add("Transpose", [name]), zero]) for name in names]
            node = helper.make_node("LSTM", [steps, *kernels, bias, lengths], outputs, **attributes)
        self.nodes.append(node)
        if pooling == "last":
            return self.add("Squeeze", [outputs[1], zero])
        states = self.add("Squeeze", [outputs[0], self.constant("one", [1])])  # (T, B, S)
        return self.add("ReduceMax", [self._without_padding(states)], axes=[0], keepdims=0)

    def classified(self, pooled: str) -> OnnxModel:
        """ReLU layer and linear layer: the finished model, whose outputs are logits (B, C) and features (B, P)."""
        hidden = self.add("Relu", [self.dense(pooled, "dense")], output=FEATURES)
        logits = self.dense(hidden, "classifier", output=LOGITS)
        sizes = {logits: self.tensors["classifier.bias"].size, hidden: self.tensors["dense.bias"].size}
        return self.model({name: ["batch", size] for name, size in sizes.items()})

    def _without_padding(self, states: str) -> str:
        """States (T, B, S), those of padding far below all others."""
        padding = self.add("Not", [self.add("Cast", [ATTENTION_MASK], to=TensorProto.BOOL)])
        steps = self.add("Unsqueeze", [self.add("Transpose", [padding]), self.constant("last", [-1])])  # (T, B, 1)
        if _FAR_BELOW not in self.constants:
            self.constants[_FAR_BELOW] = helper.make_tensor(_FAR_BELOW, TensorProto.FLOAT, [1], [-1e9])
        return self.add("Where", [steps, _FAR_BELOW, states])

    def _both_biases(self, direction: str) -> str:
        """Of the input, and of the state, which is 0."""
        bias = f"{direction}.bias"
        second = f"{direction}.no_bias"
        size = self.tensors[bias].size
        self.constants[second] = helper.make_tensor(second, TensorProto.FLOAT, [size], [0.0] * size)
        return self.add("Concat", [bias, second], axis=0)

    def _format(self, name: str) -> Tuple[str, str]:
        """Scale and zero point of an int8 kernel: (1, columns), or (1,) where the whole kernel has one."""
        scale, size, points = name + SCALE, self.tensors[name + SCALE].size, f"{name}.zero_points"
        shape = [1, size] if size > 1 else [1]
        self.constants[points] = helper.make_tensor(points, TensorProto.INT8, shape, [0] * size)
        return (self.add("Unsqueeze", [scale, self.constant("zero", [0])]) if size > 1 else scale), points
