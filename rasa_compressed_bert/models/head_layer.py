"""The linear layers of heads: their names and inputs, and which of them a set of parameters contains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Container, List, Sequence, TypeVar

State = TypeVar("State")
_END = 2**31 - 1  # beyond the end of any axis


@dataclass(frozen=True)
class HeadLayer:
    """A linear layer `x W + b` on top of the encoder; a subclass may compute another `x`.

    Attributes:
        name: the name of the layer; its parameters are `<name>.kernel` `(P, C)` and `<name>.bias` `(C,)`.
        output: the name of its output in the serving graph.
        per_wordpiece: whether `x` is the hidden state of every wordpiece, `(B, T, H)`, rather than the features of
            the message, `(B, P)`.
        over_wordpieces: whether the softmax of each column is taken over the wordpieces of a message, rather than that
            of each row over the columns.
        halfway: whether it reads the hidden states halfway through the encoder rather than the last ones.
    """

    name: str
    output: str
    per_wordpiece: bool = False
    over_wordpieces: bool = False
    halfway: bool = False

    @property
    def kernel(self) -> str:
        """The name of `W`."""
        return f"{self.name}.kernel"

    @property
    def bias(self) -> str:
        """The name of `b`."""
        return f"{self.name}.bias"

    def hidden(self, states: Sequence[State]) -> State:
        """Selects the hidden states that it reads, from the embeddings and the hidden states after each layer."""
        return states[halfway(len(states) - 1) if self.halfway else -1]

    def rows(self, hidden_size: int, features_size: int) -> int:
        """`P`, the width of `x`.

        Args:
            hidden_size: the width of hidden states, `H`.
            features_size: the width of the features of a message.
        """
        return hidden_size if self.per_wordpiece else features_size

    def select(self, hidden: Any, features: Any, attention_mask: Any) -> Any:
        """`x`, in TensorFlow.

        Args:
            hidden: the hidden states that it reads, `(B, T, H)`.
            features: the features of the message, `(B, P)`.
            attention_mask: 1 for a wordpiece, `(B, T)`.
        """
        return hidden if self.per_wordpiece else features

    def add_nodes(self, graph: Any, hidden: str, features: str) -> str:
        """Adds nodes that compute the same as `select` to a graph; returns the name of the result.

        Args:
            graph: an `export.graph.Graph`.
            hidden: the name of the hidden states that it reads.
            features: the name of the features of the message.
        """
        return hidden if self.per_wordpiece else features


class WindowLayer(HeadLayer):
    """A linear layer on the hidden states of a wordpiece and of its two neighbours: a convolution of width 3.

    `x_t = [h_(t-1), h_t, h_(t+1)]`, with zeros before the first wordpiece and after the last.  # (B, T, 3 H)
    """

    def rows(self, hidden_size: int, features_size: int) -> int:
        """`3 H`."""
        return 3 * hidden_size

    def select(self, hidden: Any, features: Any, attention_mask: Any) -> Any:
        """`x`, in TensorFlow."""
        import tensorflow as tf  # serving imports this module without TensorFlow

        read = hidden * tf.cast(attention_mask, tf.float32)[:, :, tf.newaxis]
        padded = tf.pad(read, [[0, 0], [1, 1], [0, 0]])
        return tf.concat([padded[:, :-2], read, padded[:, 2:]], axis=-1)

    def add_nodes(self, graph: Any, hidden: str, features: str) -> str:
        """`x`, in ONNX."""
        mask = graph.add("Unsqueeze", [graph.float_mask(), graph.constant("minus_one", [-1])])  # (B, T, 1)
        read = graph.add("Mul", [hidden, mask])
        padded = graph.add("Pad", [read, graph.constant("one_on_each_side", [0, 1, 0, 0, 1, 0])])
        axis, first, third = (graph.constant(name, [at]) for name, at in (("one", 1), ("zero", 0), ("two", 2)))
        before = graph.add("Slice", [padded, first, graph.constant("minus_two", [-2]), axis])
        after = graph.add("Slice", [padded, third, graph.constant("last_of_all", [_END]), axis])
        return graph.add("Concat", [before, read, after], axis=-1)


CLASSIFIER = HeadLayer("classifier", output="logits")
TAGGER = WindowLayer("tagger", output="tag_logits", per_wordpiece=True)
HALFWAY_TAGGER = WindowLayer("halfway_tagger", output="tag_logits", per_wordpiece=True, halfway=True)
SELECTOR = HeadLayer("selector", output="response_logits")
ANSWERER = HeadLayer("answerer", output="answer_logits", per_wordpiece=True, over_wordpieces=True)
LAYERS: List[HeadLayer] = [CLASSIFIER, TAGGER, HALFWAY_TAGGER, SELECTOR, ANSWERER]
"""All layers that a model may have, in the order of the outputs of a graph."""


def halfway(num_layers: int) -> int:
    """The number of layers in the first half of an encoder, rounded up."""
    return (num_layers + 1) // 2


def layers_in(parameters: Container[str]) -> List[HeadLayer]:
    """The layers that a set of parameters contains, recognized by their biases."""
    return [layer for layer in LAYERS if layer.bias in parameters]


def layers_on_features(parameters: Container[str]) -> List[HeadLayer]:
    """Those of `layers_in` that read the features of the message: the output of the pooler, if there is one."""
    return [layer for layer in layers_in(parameters) if not layer.per_wordpiece]
