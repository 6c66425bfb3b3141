"""The common parts of the serving graphs of students that read wordpieces."""

from __future__ import annotations

from typing import Container, List, Mapping

import numpy as np

from rasa_compressed_bert.export.graph import ATTENTION_MASK, FEATURES, Graph, OnnxModel
from rasa_compressed_bert.models.head_layer import layers_in


class StudentGraph(Graph):
    """Writes the nodes of a student that reads wordpieces.

    Args:
        tensors: its packed parameters.

    Attributes:
        mask: the name of the attention mask in floats, `(B, T)`.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        super().__init__(tensors)
        self.mask = self.float_mask()  # (B, T)

    def length(self) -> str:
        """The number of wordpieces of each message.  # (B,)"""
        return self.add("ReduceSum", [ATTENTION_MASK, self.constant("last", [-1])], keepdims=0)

    def summed(self, rows: str, mask: str) -> str:
        """The sum of rows (B, T, E) under a mask (B, T).  # (B, E)"""
        product = self.add("MatMul", [self.add("Unsqueeze", [mask, self.constant("one", [1])]), rows])  # (B, 1, E)
        return self.add("Squeeze", [product, self.constant("one", [1])])

    def classified(self, pooled: str) -> OnnxModel:
        """Adds a ReLU layer and the linear layers, and finishes the model; its outputs are `student_outputs`."""
        hidden = self.add("Relu", [self.dense(pooled, "dense")], output=FEATURES)
        sizes = {FEATURES: self.tensors["dense.bias"].size}
        for layer in layers_in(self.tensors):
            self.dense(hidden, layer.name, output=layer.output)
            sizes[layer.output] = self.tensors[layer.bias].size
        return self.model({name: ["batch", sizes[name]] for name in student_outputs(self.tensors)})


def student_outputs(tensors: Container[str]) -> List[str]:
    """The outputs of a student's graph: logits (B, C) of intents, features (B, P) and logits of other heads.

    Args:
        tensors: the names of its parameters.
    """
    first, *others = [layer.output for layer in layers_in(tensors)]
    return [first, FEATURES, *others]
