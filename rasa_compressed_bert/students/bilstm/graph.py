"""The serving graph of the student bilstm."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

import numpy as np
from onnx import TensorProto, helper

from rasa_compressed_bert.artifact.dequantization import SCALE
from rasa_compressed_bert.export.graph import ATTENTION_MASK, COLUMN_MULTIPLE, CONTRIB, INPUT_IDS, OnnxModel
from rasa_compressed_bert.export.student_graph import StudentGraph
from rasa_compressed_bert.students.bilstm.parameters import DIRECTIONS

_FAR_BELOW = "far_below"
_UNIT_MULTIPLE = COLUMN_MULTIPLE // 4
"""The number of units of an int8 LSTM is padded to a multiple of this; its kernels have four columns for each unit."""


def bilstm_model(tensors: Mapping[str, np.ndarray], *, pooling: str) -> OnnxModel:
    """The ONNX graph of `students.bilstm.layer.BiLstm`: ids and mask (B, T) int64 to logits (B, C), features (B, P).

    Args:
        tensors: its packed parameters.
        pooling: `max` or `last`.
    """
    graph = _BiLstmGraph(tensors)
    embedded = graph.rows("embeddings.word", INPUT_IDS)  # (B, T, E)
    steps = graph.add("Transpose", [embedded], perm=[1, 0, 2])  # (T, B, E)
    lengths = graph.add("Cast", [graph.length()], to=TensorProto.INT32)  # (B,)
    pooled = [graph.pooled_lstm(steps, lengths, direction, pooling=pooling) for direction in DIRECTIONS]
    return graph.classified(graph.add("Concat", pooled, axis=-1))


class _BiLstmGraph(StudentGraph):
    def pooled_lstm(self, steps: str, lengths: str, direction: str, *, pooling: str) -> str:
        """One direction of an LSTM over (T, B, E), pooled to its maximum or its last state.  # (B, S)"""
        names = [f"{direction}.{name}.kernel" for name in ("input", "recurrent")]
        size = len(self.tensors[names[1]])
        int8 = names[0] + SCALE in self.tensors
        added = -size % _UNIT_MULTIPLE if int8 else 0  # units whose weights and states are 0
        zero = self.constant("zero", [0])
        bias = self._with_units(self._both_biases(direction), 1, size, added)
        bias = self.add("Unsqueeze", [bias, zero])  # (1, 8 S)
        outputs = [f"{direction}.states", f"{direction}.last"]  # (T, 1, B, S), (1, B, S)
        attributes: Dict[str, Any] = {"hidden_size": size + added}
        attributes["direction"] = "reverse" if direction == "backward" else "forward"
        if int8:
            kernels = [self._with_units(name, 2, size, added, rows) for name, rows in zip(names, (0, added))]
            kernels = [self.add("Unsqueeze", [kernel, zero]) for kernel in kernels]  # (1, E, 4 S), (1, S, 4 S)
            formats = [part for name in names for part in self._format(name, size, added)]
            inputs = [steps, *kernels, bias, lengths, "", "", "", *formats]
            node = helper.make_node("DynamicQuantizeLSTM", inputs, outputs, domain=CONTRIB, **attributes)
        else:
            kernels = [self.add("Unsqueeze", [self.add("Transpose", [name]), zero]) for name in names]
            node = helper.make_node("LSTM", [steps, *kernels, bias, lengths], outputs, **attributes)
        self.nodes.append(node)
        if pooling == "last":
            pooled = self.add("Squeeze", [outputs[1], zero])
        else:
            states = self.add("Squeeze", [outputs[0], self.constant("one", [1])])  # (T, B, S)
            pooled = self.add("ReduceMax", [self._without_padding(states)], axes=[0], keepdims=0)
        return self.columns(pooled, 0, size) if added else pooled

    def _without_padding(self, states: str) -> str:
        """States (T, B, S), with those of padding far below all others."""
        padding = self.add("Not", [self.add("Cast", [ATTENTION_MASK], to=TensorProto.BOOL)])
        steps = self.add("Unsqueeze", [self.add("Transpose", [padding]), self.constant("last", [-1])])  # (T, B, 1)
        if _FAR_BELOW not in self.constants:
            self.constants[_FAR_BELOW] = helper.make_tensor(_FAR_BELOW, TensorProto.FLOAT, [1], [-1e9])
        return self.add("Where", [steps, _FAR_BELOW, states])

    def _both_biases(self, direction: str) -> str:
        """The bias of the input and that of the recurrent state, which is 0; ONNX adds both."""
        bias = f"{direction}.bias"
        second = f"{direction}.no_bias"
        size = self.tensors[bias].size
        self.constants[second] = helper.make_tensor(second, TensorProto.FLOAT, [size], [0.0] * size)
        return self.add("Concat", [bias, second], axis=0)

    def _format(self, name: str, size: int, added: int) -> Tuple[str, str]:
        """Scale and zero point of an int8 kernel: (1, columns), or (1,) for one scale for the whole kernel."""
        scale, points = name + SCALE, f"{name}.zero_points"
        shape = [1]
        if self.tensors[scale].size > 1:
            shape = [1, 4 * (size + added)]
            scale = self.add("Unsqueeze", [self._with_units(scale, 1, size, added), self.constant("zero", [0])])
        self.constants[points] = helper.make_tensor(points, TensorProto.INT8, shape, [0] * shape[-1])
        return scale, points

    def _with_units(self, x: str, dimensions: int, size: int, added: int, rows: int = 0) -> str:
        """Appends `added` columns of zeros to each gate of `x`, (..., gates * size), and `rows` rows of zeros.

        ONNX Runtime does it once, when it loads the graph.
        """
        if not added:
            return x
        before = [0] * (dimensions - 1)  # axes that stay
        gates = self.add("Reshape", [x, self.constant(f"gates_{dimensions}_{size}", [*before, -1, size])])
        ends = [rows, 0, added] if dimensions == 2 else [0, added]
        zeros = self.constant(f"padding_{'_'.join(map(str, ends))}", [0] * len(ends) + ends)
        padded = self.add("Pad", [gates, zeros])
        return self.add("Reshape", [padded, self.constant(f"joined_{dimensions}", [*before, -1])])
