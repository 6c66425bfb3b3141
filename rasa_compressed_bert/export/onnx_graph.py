"""The serving graph of an encoder, written directly in ONNX Runtime's own fused operators.

The encoder is regular, so the graph is written down rather than converted: a converter's graph of hundreds of small
operators has to be fused again by pattern matching, which does not know layers of different widths (the two were
measured, see `benchmarks/README.md`). Operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
(DynamicQuantizeMatMul, MultiHeadAttention, BiasGelu, SkipLayerNormalization).

The graph holds no weights: its initializers name tensors of `packing.pack`, which the engine reads from the artifact.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from rasa_compressed_bert.artifact.dequantization import FACTORS, INPUT_SCALE, INPUT_ZERO_POINT, SCALE
from rasa_compressed_bert.models.shape import EncoderShape

INPUT_IDS, ATTENTION_MASK, HIDDEN_STATES, LOGITS = "input_ids", "attention_mask", "hidden_states", "logits"
_CONTRIB = "com.microsoft"
_OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid(_CONTRIB, 1)]
_IR_VERSION = 8


class OnnxModel(NamedTuple):
    """A model whose initializers, named in `weights`, are elsewhere."""

    proto: onnx.ModelProto
    weights: List[str]


def onnx_model(shape: EncoderShape, tensors: Mapping[str, np.ndarray]) -> OnnxModel:
    """Ids and mask (B, T) int64 to logits (B, C), where the tensors have a linear layer, or hidden states (B, T, H)."""
    graph = EncoderGraph(shape, tensors)
    hidden = graph.encode()
    if "classifier.bias" in tensors:
        proto = graph.model(graph.classify(hidden), ["batch", tensors["classifier.bias"].size])
    else:
        output = graph.add("Identity", [hidden], output=HIDDEN_STATES)
        proto = graph.model(output, ["batch", "wordpieces", shape.hidden_size])
    return OnnxModel(proto, graph.weights())


class EncoderGraph:
    """Writes nodes; each method returns the name of its result."""

    def __init__(self, shape: EncoderShape, tensors: Mapping[str, np.ndarray]):
        self.shape = shape
        self.tensors = tensors
        self.nodes: List[onnx.NodeProto] = []
        self.constants: Dict[str, onnx.TensorProto] = {}

    def encode(self) -> str:
        """`input_ids` (B, T) to hidden states (B, T, H)."""
        hidden = self._embed()
        for index in range(len(self.shape.layers)):
            hidden = self._attend(hidden, index)
            hidden = self._feed_forward(hidden, index)
        return hidden

    def classify(self, hidden: str) -> str:
        """Pooling and linear layer: (B, T, H) to logits (B, C)."""
        return self.dense(self._pool(hidden), "classifier", output=LOGITS)

    def model(self, output: str, dimensions: Sequence[Any]) -> onnx.ModelProto:
        """The finished graph with its inputs, its output and its external initializers."""
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "wordpieces"])
            for name in (INPUT_IDS, ATTENTION_MASK)
        ]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, dimensions)]
        initializers = [_external(name, self.tensors[name]) for name in self.weights()]
        graph = helper.make_graph(
            self.nodes, "encoder", inputs, outputs, initializer=[*initializers, *self.constants.values()]
        )
        return helper.make_model(
            graph, opset_imports=_OPSETS, ir_version=_IR_VERSION, producer_name="rasa_compressed_bert"
        )

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
        """`x @ kernel (+ bias)`; int8 kernels multiply activations quantized on the fly or by a known range."""
        kernel, addend = f"{name}.kernel", f"{name}.bias"
        if name + FACTORS in self.tensors:
            x = self.add("Mul", [x, name + FACTORS])
        if name + INPUT_SCALE in self.tensors:
            quantized = [name + INPUT_SCALE, name + INPUT_ZERO_POINT]
            x = self.add("QuantizeLinear", [x, *quantized])
            inputs = [x, kernel, quantized[0], kernel + SCALE, quantized[1], "", *([addend] if bias else [])]
            return self.add("MatMulIntegerToFloat", inputs, output=output, domain=_CONTRIB)
        if kernel + SCALE in self.tensors:
            inputs = [x, kernel, kernel + SCALE, "", addend] if bias else [x, kernel, kernel + SCALE]
            return self.add("DynamicQuantizeMatMul", inputs, output=output, domain=_CONTRIB)
        if not bias:
            return self.add("MatMul", [x, kernel], output=output)
        return self.add("Add", [self.add("MatMul", [x, kernel]), addend], output=output)

    def _embed(self) -> str:
        word = self.add("Gather", ["embeddings.word", INPUT_IDS])  # (B, T, H)
        scale = "embeddings.word" + SCALE
        if scale in self.tensors:
            word = self.add("Cast", [word], to=TensorProto.FLOAT)
            if self.tensors[scale].size > 1:
                rows = self.add("Gather", [scale, INPUT_IDS])
                scale = self.add("Unsqueeze", [rows, self.constant("minus_one", [-1])])  # (B, T, 1)
            word = self.add("Mul", [word, scale])
        length = self.add(
            "Slice", [self.add("Shape", [INPUT_IDS]), self.constant("one", [1]), self.constant("two", [2])]
        )
        position = self.add(
            "Slice", ["embeddings.position", self.constant("zero", [0]), length, self.constant("zero", [0])]
        )
        summed = self.add("Add", [word, position])
        return self.add(
            "LayerNormalization",
            [summed, "embeddings.norm.gamma", "embeddings.norm.beta"],
            axis=-1,
            epsilon=self.shape.layer_norm_eps,
        )

    def _attend(self, hidden: str, index: int) -> str:
        layer, name = self.shape.layers[index], f"layers.{index}"
        attended = ""
        if layer.num_attention_heads:
            widths = [
                layer.num_attention_heads * size
                for size in (layer.query_key_size, layer.query_key_size, layer.value_size)
            ]
            joined = self.dense(hidden, f"{name}.query_key_value")
            parts = [f"{name}.{part}" for part in ("query", "key", "value")]
            sizes = self.constant(f"{name}.widths", widths)
            self.nodes.append(helper.make_node("Split", [joined, sizes], parts, axis=-1))
            context = self.add(
                "MultiHeadAttention",
                [*parts, "", self._mask()],
                domain=_CONTRIB,
                num_heads=layer.num_attention_heads,
                scale=1.0 / math.sqrt(self.shape.head_size),
            )
            attended = self.dense(context, f"{name}.attention_output", bias=False)
        return self._skip(hidden, attended, f"{name}.attention_output.bias", f"{name}.attention_norm")

    def _feed_forward(self, hidden: str, index: int) -> str:
        name, output = f"layers.{index}", ""
        if self.shape.layers[index].intermediate_size:
            intermediate = self._activate(
                self.dense(hidden, f"{name}.intermediate", bias=False), f"{name}.intermediate.bias"
            )
            output = self.dense(intermediate, f"{name}.output", bias=False)
        return self._skip(hidden, output, f"{name}.output.bias", f"{name}.output_norm")

    def _activate(self, x: str, bias: str) -> str:
        if self.shape.hidden_act == "gelu":
            return self.add("BiasGelu", [x, bias], domain=_CONTRIB)
        if self.shape.hidden_act == "gelu_new":
            return self.add("FastGelu", [x, bias], domain=_CONTRIB)
        return self.add("Relu", [self.add("Add", [x, bias])])

    def _skip(self, hidden: str, update: str, bias: str, norm: str) -> str:
        """`norm(hidden + update + bias)`; a sublayer that was pruned away has no update."""
        gamma, beta, epsilon = f"{norm}.gamma", f"{norm}.beta", self.shape.layer_norm_eps
        if update:
            return self.add(
                "SkipLayerNormalization", [hidden, update, gamma, beta, bias], domain=_CONTRIB, epsilon=epsilon
            )
        return self.add("LayerNormalization", [self.add("Add", [hidden, bias]), gamma, beta], axis=-1, epsilon=epsilon)

    def _mask(self) -> str:
        if not any(node.output[0] == "key_padding_mask" for node in self.nodes):
            self.add("Cast", [ATTENTION_MASK], output="key_padding_mask", to=TensorProto.INT32)
        return "key_padding_mask"

    def _pool(self, hidden: str) -> str:
        if "pooler.bias" in self.tensors:
            first = self.add("Gather", [hidden, self.constant("first", [0])], axis=1)  # (B, 1, H)
            first = self.add("Squeeze", [first, self.constant("last", [1])])  # (B, H)
            return self.add("Tanh", [self.dense(first, "pooler")])
        mask = self.add("Cast", [ATTENTION_MASK], to=TensorProto.FLOAT)  # (B, T)
        share = self.add("Div", [mask, self.add("ReduceSum", [mask, self.constant("last", [1])], keepdims=1)])
        pooled = self.add("MatMul", [self.add("Unsqueeze", [share, self.constant("last", [1])]), hidden])  # (B, 1, H)
        return self.add("Squeeze", [pooled, self.constant("last", [1])])  # (B, H)

    def weights(self) -> List[str]:
        """Names of the tensors that the nodes use, in the order of the tensors."""
        used = {name for node in self.nodes for name in node.input}
        return [name for name in self.tensors if name in used]


def _external(name: str, value: np.ndarray) -> onnx.TensorProto:
    tensor = TensorProto(name=name, dims=value.shape, data_type=helper.np_dtype_to_tensor_dtype(value.dtype))
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.safetensors")
    return tensor
