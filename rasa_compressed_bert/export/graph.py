"""Writes ONNX graphs with external weights.

A graph contains no weights: its initializers name tensors of `packing`, which the engine reads from the artifact.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from rasa_compressed_bert.artifact.dequantization import FACTORS, INPUT_SCALE, INPUT_ZERO_POINT, SCALE

INPUT_IDS, ATTENTION_MASK = "input_ids", "attention_mask"
HIDDEN_STATES, LOGITS, TAG_LOGITS, FEATURES = "hidden_states", "logits", "tag_logits", "features"
CONTRIB = "com.microsoft"
_OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid(CONTRIB, 1)]
_IR_VERSION = 8
_TO_THE_END = 2**31
COLUMN_MULTIPLE = 16
"""The number of columns of an int8 kernel is padded to a multiple of this.

On processors with AMX, ONNX Runtime 1.21 to 1.23 computes wrong products of 32 rows or more for other numbers:
https://github.com/microsoft/onnxruntime/pull/27671
"""


class OnnxModel(NamedTuple):
    """A model with external initializers, whose names are `weights`."""

    proto: onnx.ModelProto
    weights: List[str]


class Graph:
    """Writes nodes of a graph; each method that does so returns the name of its result.

    Args:
        tensors: the weights, which become initializers where nodes use them.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self.tensors = tensors
        self.nodes: List[onnx.NodeProto] = []
        self.constants: Dict[str, onnx.TensorProto] = {}

    def model(self, dimensions: Mapping[str, Sequence[Any]]) -> OnnxModel:
        """Finishes the graph.

        Args:
            dimensions: the dimensions of each output, by its name.
        """
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "wordpieces"])
            for name in (INPUT_IDS, ATTENTION_MASK)
        ]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in dimensions.items()]
        weights = self._weights()
        initializers = [_external(name, self.tensors[name]) for name in weights]
        graph = helper.make_graph(
            self.nodes, "model", inputs, outputs, initializer=[*initializers, *self.constants.values()]
        )
        proto = helper.make_model(
            graph, opset_imports=_OPSETS, ir_version=_IR_VERSION, producer_name="rasa_compressed_bert"
        )
        return OnnxModel(proto, weights)

    def add(
        self, operator: str, inputs: Sequence[str], *, output: Optional[str] = None, domain: str = "", **attributes: Any
    ) -> str:
        """Appends a node with one result."""
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], domain=domain, **attributes))
        return output

    def constant(self, name: str, values: Sequence[int]) -> str:
        """A small integer constant, stored once."""
        self.constants.setdefault(name, helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values)))
        return name

    def dense(self, x: str, name: str, *, bias: bool = True, output: Optional[str] = None) -> str:
        """`x @ kernel (+ bias)`; for int8 kernels, activations are quantized dynamically or with fixed ranges."""
        kernel, addend = f"{name}.kernel", f"{name}.bias"
        if name + FACTORS in self.tensors:
            x = self.add("Mul", [x, name + FACTORS])
        if kernel + SCALE in self.tensors:
            return self._int8_product(x, name, addend if bias else "", output)
        if not bias:
            return self.add("MatMul", [x, kernel], output=output)
        return self.add("Add", [self.add("MatMul", [x, kernel]), addend], output=output)

    def _int8_product(self, x: str, name: str, bias: str, output: Optional[str]) -> str:
        """`x @ kernel (+ bias)` for an int8 kernel; it is padded to `COLUMN_MULTIPLE`, and the result is not."""
        columns = self.tensors[f"{name}.kernel"].shape[-1]
        padding = -columns % COLUMN_MULTIPLE
        kernel, scale, bias = (
            self._padded(part, padding) if padding else part
            for part in (f"{name}.kernel", f"{name}.kernel{SCALE}", bias)
        )
        if name + INPUT_SCALE in self.tensors:
            quantized = [name + INPUT_SCALE, name + INPUT_ZERO_POINT]
            inputs = [self.add("QuantizeLinear", [x, *quantized]), kernel, quantized[0], scale, quantized[1], "", bias]
            operator = "MatMulIntegerToFloat"
        else:
            operator, inputs = "DynamicQuantizeMatMul", [x, kernel, scale, "", bias]
        if not padding:
            return self.add(operator, inputs, output=output, domain=CONTRIB)
        return self.columns(self.add(operator, inputs, domain=CONTRIB), 0, columns, output=output)

    def _padded(self, name: str, padding: int) -> str:
        """A weight with columns of zeros appended; ONNX Runtime does it once, when it loads the graph.

        The name of a missing bias, which is empty, and a single scale for all columns are returned as they are.
        """
        if not name or (name.endswith(SCALE) and self.tensors[name].size == 1):
            return name
        dimensions = self.tensors[name].ndim
        zeros = self.constant(f"padding_{dimensions}_{padding}", [0] * (2 * dimensions - 1) + [padding])
        return self.add("Pad", [name, zeros])

    def columns(self, x: str, start: int, end: Optional[int], *, output: Optional[str] = None) -> str:
        """`x[..., start:end]`."""
        bounds = (start, _TO_THE_END if end is None else end, -1)
        return self.add("Slice", [x, *(self.constant(f"at_{value}", [value]) for value in bounds)], output=output)

    def float_mask(self) -> str:
        """The attention mask, in floats.  # (B, T)"""
        if not any(node.output[0] == "mask" for node in self.nodes):
            self.add("Cast", [ATTENTION_MASK], output="mask", to=TensorProto.FLOAT)
        return "mask"

    def rows(self, table: str, ids: str) -> str:
        """Looks up rows of a table, in floats.  # ids' shape + (H,)"""
        rows, scale = self.add("Gather", [table, ids]), table + SCALE
        if scale not in self.tensors:
            return rows
        rows = self.add("Cast", [rows], to=TensorProto.FLOAT)
        if self.tensors[scale].size > 1:
            of_rows = self.add("Gather", [scale, ids])
            scale = self.add("Unsqueeze", [of_rows, self.constant("minus_one", [-1])])
        return self.add("Mul", [rows, scale])

    def _weights(self) -> List[str]:
        """The names of the tensors that nodes use, in the order of the tensors."""
        used = {name for node in self.nodes for name in node.input}
        return [name for name in self.tensors if name in used]


def _external(name: str, value: np.ndarray) -> onnx.TensorProto:
    tensor = TensorProto(name=name, dims=value.shape, data_type=helper.np_dtype_to_tensor_dtype(value.dtype))
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.safetensors")
    return tensor
