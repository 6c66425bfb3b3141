"""A family of encoders: maps the configuration and the variables of its checkpoints to our encoder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional

import numpy as np

from rasa_compressed_bert.models.shape import (
    ACTIVATIONS,
    POOLER,
    POSITION_BIAS,
    PROJECTION,
    TOKEN_TYPE,
    EncoderShape,
    LayerShape,
)

Variables = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Family:
    """The names of a family's configuration and variables in transformers' TensorFlow classes.

    Attributes:
        kernels: our names of a layer's matrices, and the paths of their variables within the layer.
        norms: the same for its layer normalisations.
        layer: the path of a layer; `{}` is its number. Layers with the same path share their weights in the checkpoint.
        settings: BERT's names in the configuration, and those of the family where they differ.
        token_types: whether there are token types; the embedding of the first is added to every position.
        first_position: the row of the position embeddings for the first wordpiece of a message. In RoBERTa and models
            derived from it, this is the id of the padding wordpiece plus 1.
        projection: the linear layer from embeddings to hidden states, for a family in which their widths may differ
            (`embedding_size`); a model of equal widths has none.
        position_bias: the biases of the heads for relative positions (`models.relative_positions`), which all layers
            share. In our encoder each layer has its own copy, so that its heads can be pruned.
    """

    kernels: Mapping[str, str]
    norms: Mapping[str, str]
    layer: str = "encoder/layer_._{}"
    settings: Mapping[str, str] = field(default_factory=dict)
    token_types: bool = True
    first_position: int = 0
    projection: Optional[str] = None
    position_bias: Optional[str] = None

    def unsupported(self, config: Any) -> Optional[str]:
        """The first setting that our encoder does not support; None if all are supported."""
        activation = self._setting(config, "hidden_act")
        if activation not in ACTIVATIONS:
            return f"the activation '{activation}' (use one of {', '.join(map(repr, ACTIVATIONS))})"
        if getattr(config, "position_embedding_type", "absolute") != "absolute":
            return "relative positions"
        if getattr(config, "is_decoder", False):
            return "attention only to earlier wordpieces (is_decoder: true)"
        padding = getattr(config, "pad_token_id", None)
        if self.first_position and padding != self.first_position - 1:
            return (
                f"a pad_token_id of {json.dumps(padding)} (this family counts positions from {self.first_position - 1})"
            )
        return None

    def shape(self, config: Any) -> EncoderShape:
        """The widths of the encoder that a configuration describes."""
        hidden, heads = self._setting(config, "hidden_size"), self._setting(config, "num_attention_heads")
        head_size, layers = hidden // heads, config.num_hidden_layers
        layer = LayerShape(heads, head_size, head_size, self._setting(config, "intermediate_size"))
        embedding_size = self._setting(config, "embedding_size") if self.projection else hidden
        return EncoderShape(
            vocab_size=config.vocab_size,
            hidden_size=hidden,
            max_position_embeddings=config.max_position_embeddings - self.first_position,
            head_size=head_size,
            layer_norm_eps=getattr(config, "layer_norm_eps", 1e-12),
            hidden_act=self._setting(config, "hidden_act"),
            layers=(layer,) * layers,
            relative_buckets=config.relative_attention_num_buckets if self.position_bias else 0,
            embedding_size=None if embedding_size == hidden else embedding_size,
        )

    def parameters(self, variables: Variables, num_layers: int) -> Dict[str, np.ndarray]:
        """Our parameters, by the names of `EncoderShape.parameter_shapes`.

        Args:
            variables: the variables of the checkpoint, without the prefix of the model.
            num_layers: the number of layers of the encoder.
        """
        position = variables["embeddings/position_embeddings/embeddings"][self.first_position :]
        if self.token_types:  # a message is one segment: the first type is added to every position
            position = position + variables["embeddings/token_type_embeddings/embeddings"][0]
        parameters = {
            "embeddings.word": variables["embeddings/word_embeddings/weight"],
            "embeddings.position": position,
            **_norm("embeddings.norm", variables, "embeddings/LayerNorm"),
        }
        if self.projection and f"{self.projection}/kernel" in variables:
            parameters[f"{PROJECTION}.kernel"] = variables[f"{self.projection}/kernel"]
            parameters[f"{PROJECTION}.bias"] = variables[f"{self.projection}/bias"]
        for index in range(num_layers):
            theirs = self.layer.format(index)
            for name, kernel in self.kernels.items():
                parameters[f"layers.{index}.{name}.kernel"] = variables[f"{theirs}/{kernel}/kernel"]
                parameters[f"layers.{index}.{name}.bias"] = variables[f"{theirs}/{kernel}/bias"]
            if self.position_bias:
                parameters[f"layers.{index}.{POSITION_BIAS}"] = variables[self.position_bias].T
            for name, norm in self.norms.items():
                parameters.update(_norm(f"layers.{index}.{name}", variables, f"{theirs}/{norm}"))
        return parameters

    def token_type(self, variables: Variables) -> Dict[str, np.ndarray]:
        """`TOKEN_TYPE` `(E,)`: the embedding of the second token type minus that of the first; empty without types."""
        if not self.token_types:
            return {}
        table = variables["embeddings/token_type_embeddings/embeddings"]
        return {TOKEN_TYPE: table[1] - table[0]} if len(table) > 1 else {}

    def pooler(self, variables: Variables) -> Dict[str, np.ndarray]:
        """The parameters `POOLER`; empty if the weights have no pooler."""
        names = (f"pooler/dense/{name}" for name in ("kernel", "bias"))
        return {ours: variables[theirs] for ours, theirs in zip(POOLER, names) if theirs in variables}

    def _setting(self, config: Any, name: str) -> Any:
        return getattr(config, self.settings.get(name, name))


def _norm(ours: str, variables: Variables, theirs: str) -> Dict[str, np.ndarray]:
    return {f"{ours}.gamma": variables[f"{theirs}/gamma"], f"{ours}.beta": variables[f"{theirs}/beta"]}
