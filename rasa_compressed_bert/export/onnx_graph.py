"""The serving graph of an encoder, written directly in ONNX Runtime's own fused operators.

The graph is written, not converted: a converter gives hundreds of small operators, which have to be fused by pattern
matching, and that fails for layers of different widths (both were measured, see `benchmarks/README.md`). Operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
(DynamicQuantizeMatMul, MultiHeadAttention, BiasGelu, SkipLayerNormalization).
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping

import numpy as np
from onnx import TensorProto, helper

from rasa_compressed_bert.export.graph import (
    ATTENTION_MASK,
    CONTRIB,
    FEATURES,
    HIDDEN_STATES,
    INPUT_IDS,
    Graph,
    OnnxModel,
)
from rasa_compressed_bert.models.head_layer import layers_in
from rasa_compressed_bert.models.relative_positions import relative_positions
from rasa_compressed_bert.models.shape import POSITION_BIAS, PROJECTION, TOKEN_TYPE, EncoderShape


def onnx_model(
    shape: EncoderShape, tensors: Mapping[str, np.ndarray], *, features: bool = False, states: bool = False
) -> OnnxModel:
    """A model from ids and mask (B, T) int64 to the outputs of the heads.

    The outputs are those of the heads, (B, C) or (B, T, C), in the order of `LAYERS`; the features of the message
    (B, P) follow the first head that reads them, and the hidden states (B, T, H) are last. Without any head, the hidden
    states are the only output.

    Args:
        shape: the widths of the encoder.
        tensors: the packed tensors of the encoder and the heads.
        features: adds the features of the message to the outputs, if a head reads them.
        states: adds the hidden states to the outputs.
    """
    graph = EncoderGraph(shape, tensors)
    hidden_states = graph.encode()
    last = hidden_states[-1]
    outputs: Dict[str, List[Any]] = {}
    pooled = ""
    for layer in layers_in(tensors):
        if not layer.per_wordpiece:
            pooled = pooled or graph.pool(last)
        read = layer.add_nodes(graph, layer.hidden(hidden_states), pooled)
        logits = graph.dense(read, layer.name, output=layer.output)
        positions = ["wordpieces"] if layer.per_wordpiece else []
        outputs[logits] = ["batch", *positions, tensors[layer.bias].size]
        if features and not layer.per_wordpiece and FEATURES not in outputs:
            size = tensors["pooler.bias"].size if "pooler.bias" in tensors else shape.hidden_size
            outputs[graph.add("Identity", [pooled], output=FEATURES)] = ["batch", size]
    if states or not outputs:
        outputs[graph.add("Identity", [last], output=HIDDEN_STATES)] = ["batch", "wordpieces", shape.hidden_size]
    return graph.model(outputs)


class EncoderGraph(Graph):
    """The nodes of an encoder and its heads."""

    def __init__(self, shape: EncoderShape, tensors: Mapping[str, np.ndarray]):
        super().__init__(tensors)
        self.shape = shape

    def encode(self) -> List[str]:
        """The embeddings of `input_ids`, followed by the hidden states after each layer, each (B, T, H)."""
        states = [self._embed()]
        for index in range(len(self.shape.layers)):
            states.append(self._feed_forward(self._attend(states[-1], index), index))
        return states

    def _embed(self) -> str:
        word = self.rows("embeddings.word", INPUT_IDS)  # (B, T, E)
        summed = self.add("Add", [word, self._of_length("embeddings.position")])
        if self.shape.separator is not None:
            summed = self.add("Add", [summed, self.add("Mul", [self._second_text(self.shape.separator), TOKEN_TYPE])])
        embedded = self.add(
            "LayerNormalization",
            [summed, "embeddings.norm.gamma", "embeddings.norm.beta"],
            axis=-1,
            epsilon=self.shape.layer_norm_eps,
        )
        return embedded if self.shape.embedding_size is None else self.dense(embedded, PROJECTION)

    def _second_text(self, separator: int) -> str:
        """1 for the wordpieces after the first separator, else 0.  # (B, T, 1)"""
        separators = self.add("Equal", [INPUT_IDS, self.constant("separator", [separator])])
        counted = self.add("Cast", [separators], to=TensorProto.FLOAT)
        before = self.add("CumSum", [counted, self.constant("one", [1])], exclusive=1)
        second = self.add("Cast", [self.add("Cast", [before], to=TensorProto.BOOL)], to=TensorProto.FLOAT)
        return self.add("Unsqueeze", [second, self.constant("minus_one", [-1])])

    def _of_length(self, name: str) -> str:
        """The first T rows of a table."""
        if not any(node.output[0] == "length" for node in self.nodes):
            shape = self.add("Shape", [INPUT_IDS])
            self.add("Slice", [shape, self.constant("one", [1]), self.constant("two", [2])], output="length")
        return self.add("Slice", [name, self.constant("zero", [0]), "length", self.constant("zero", [0])])

    def _position_bias(self, name: str) -> str:
        """Looks up biases (N, R) for all pairs of wordpieces, to add to attention scores.  # (1, N, T, T)"""
        if not any(node.output[0] == "buckets" for node in self.nodes):
            tables = relative_positions(self.shape.max_position_embeddings, self.shape.relative_buckets)
            names = [self.constant(f"relative_{part}", values.tolist()) for part, values in tables._asdict().items()]
            queries, keys = (self._of_length(part) for part in names[:2])
            queries = self.add("Unsqueeze", [queries, self.constant("last", [1])])  # (T, 1)
            self.add("Gather", [names[2], self.add("Add", [queries, keys])], output="buckets")  # (T, T)
        bias = self.add("Gather", [name, "buckets"], axis=1)
        return self.add("Unsqueeze", [bias, self.constant("zero", [0])])

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
            bias = [self._position_bias(f"{name}.{POSITION_BIAS}")] if self.shape.relative_buckets else []
            context = self.add(
                "MultiHeadAttention",
                [*parts, "", self._mask(), *bias],
                domain=CONTRIB,
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
            return self.add("BiasGelu", [x, bias], domain=CONTRIB)
        if self.shape.hidden_act == "gelu_new":
            return self.add("FastGelu", [x, bias], domain=CONTRIB)
        return self.add("Relu", [self.add("Add", [x, bias])])

    def _skip(self, hidden: str, update: str, bias: str, norm: str) -> str:
        """`norm(hidden + update + bias)`; a sublayer that was pruned away has no update."""
        gamma, beta, epsilon = f"{norm}.gamma", f"{norm}.beta", self.shape.layer_norm_eps
        if update:
            return self.add(
                "SkipLayerNormalization", [hidden, update, gamma, beta, bias], domain=CONTRIB, epsilon=epsilon
            )
        return self.add("LayerNormalization", [self.add("Add", [hidden, bias]), gamma, beta], axis=-1, epsilon=epsilon)

    def _mask(self) -> str:
        if not any(node.output[0] == "key_padding_mask" for node in self.nodes):
            self.add("Cast", [ATTENTION_MASK], output="key_padding_mask", to=TensorProto.INT32)
        return "key_padding_mask"

    def pool(self, hidden: str) -> str:
        """Hidden states (B, T, H) to the features of a message (B, P)."""
        if "pooler.bias" in self.tensors:
            first = self.add("Gather", [hidden, self.constant("first", [0])], axis=1)  # (B, 1, H)
            first = self.add("Squeeze", [first, self.constant("last", [1])])  # (B, H)
            return self.add("Tanh", [self.dense(first, "pooler")])
        mask = self.float_mask()  # (B, T)
        share = self.add("Div", [mask, self.add("ReduceSum", [mask, self.constant("last", [1])], keepdims=1)])
        pooled = self.add("MatMul", [self.add("Unsqueeze", [share, self.constant("last", [1])]), hidden])  # (B, 1, H)
        return self.add("Squeeze", [pooled, self.constant("last", [1])])  # (B, H)
