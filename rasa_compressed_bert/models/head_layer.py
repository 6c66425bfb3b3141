"""The last linear layers of a model: their names, what each multiplies, and which of them a set of parameters has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Container, List


@dataclass(frozen=True)
class HeadLayer:
    """A linear layer `x W + b` on top of the encoder; a subclass may compute another `x`.

    Attributes:
        name: of the layer; its parameters are `<name>.kernel` `(P, C)` and `<name>.bias` `(C,)`.
        output: the name of what it gives, in the serving graph.
        per_wordpiece: whether `x` is the last hidden state of every wordpiece, `(B, T, H)`, rather than the features of
            the message, `(B, P)`.
        over_wordpieces: whether each of its columns is a distribution over the wordpieces of a message, rather than
            each of its rows one over the columns.
    """

    name: str
    output: str
    per_wordpiece: bool = False
    over_wordpieces: bool = False

    @property
    def kernel(self) -> str:
        """The name of `W`."""
        return f"{self.name}.kernel"

    @property
    def bias(self) -> str:
        """The name of `b`."""
        return f"{self.name}.bias"

    def select(self, hidden: Any, features: Any, attention_mask: Any) -> Any:
        """`x`, in TensorFlow.

        Args:
            hidden: the last hidden states, `(B, T, H)`.
            features: of the message, `(B, P)`.
            attention_mask: 1 for a wordpiece, `(B, T)`.
        """
        return hidden if self.per_wordpiece else features

    def add_nodes(self, graph: Any, hidden: str, features: str) -> str:
        """Writes what `select` computes; the name of the result.

        Args:
            graph: an `export.graph.Graph`.
            hidden: the name of the last hidden states.
            features: the name of the features of the message.
        """
        return hidden if self.per_wordpiece else features


CLASSIFIER = HeadLayer("classifier", output="logits")
TAGGER = HeadLayer("tagger", output="tag_logits", per_wordpiece=True)
SELECTOR = HeadLayer("selector", output="response_logits")
ANSWERER = HeadLayer("answerer", output="answer_logits", per_wordpiece=True, over_wordpieces=True)
LAYERS: List[HeadLayer] = [CLASSIFIER, TAGGER, SELECTOR, ANSWERER]
"""Every layer that a model may have, in the order of a graph's outputs."""


def layers_in(parameters: Container[str]) -> List[HeadLayer]:
    """The layers that have a bias among some parameters."""
    return [layer for layer in LAYERS if layer.bias in parameters]
