"""The sizes of an encoder whose layers may differ in width, and the names of its parameters."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from rasa_compressed_bert.errors import ArtifactError

ACTIVATIONS = ("gelu", "gelu_new", "relu")
"""Values of `hidden_act` that the encoder supports."""
PROJECTION = "embedding_projection"
"""The linear layer from embeddings to hidden states of another width; its name does not begin with `embeddings.`."""
POOLER = ("pooler.kernel", "pooler.bias")
"""The dense layer, `(H, H)` and `(H,)`, between the first hidden state of a message and the heads."""
TOKEN_TYPE = "token_type"
"""The vector that is added to the embeddings of the second text of a pair only, see `Family.token_type`."""
POSITION_BIAS = "position_bias"
"""Biases of the attention scores of each head of a layer, by bucket of distances (`models.relative_positions`)."""
_MOST_PARAMETERS = 2**30
"""The largest supported size; BERT-large has a third of it, XLM-R large a half."""
MOST_LAYERS = 1000
"""The largest supported number of layers; each has eighteen parameters, of which even empty ones take memory."""
_MOST_POSITIONS = 100_000
"""The largest supported number of positions: known encoders have at most 8,192, and tables of relative positions, which
are no parameters, take 200 bytes for each."""
COMPONENTS = ("query", "key", "value", "attention_output", "intermediate", "output")


@dataclass(frozen=True)
class LayerShape:
    """Widths of one encoder layer; pruning may have removed all its heads or all its intermediate neurons."""

    num_attention_heads: int  # N
    query_key_size: int  # K, dimensions of a query and of a key for each head
    value_size: int  # V, dimensions of a value for each head
    intermediate_size: int  # I

    def kernel_shapes(self, hidden_size: int) -> Dict[str, Tuple[int, int]]:
        """Rows (inputs) and columns (outputs) of the layer's six matrices."""
        query_key = self.num_attention_heads * self.query_key_size
        value = self.num_attention_heads * self.value_size
        return {
            "query": (hidden_size, query_key),
            "key": (hidden_size, query_key),
            "value": (hidden_size, value),
            "attention_output": (value, hidden_size),
            "intermediate": (hidden_size, self.intermediate_size),
            "output": (self.intermediate_size, hidden_size),
        }


@dataclass(frozen=True)
class EncoderShape:
    """The sizes of an encoder, and the settings that are needed to build it from its parameters."""

    vocab_size: int
    hidden_size: int  # H
    max_position_embeddings: int
    head_size: int  # of the unpruned model; attention is scaled by its square root, also after pruning
    layer_norm_eps: float
    hidden_act: str
    layers: Tuple[LayerShape, ...]
    embedding_size: Optional[int] = None  # E, if a projection from E to H follows the embeddings
    relative_buckets: int = 0  # R, buckets of distances with an attention bias; 0 for none
    separator: Optional[int] = None  # id of the wordpiece before the second text of a pair; None without types

    def parameter_shapes(self) -> Dict[str, Tuple[int, ...]]:
        """The name and the shape of every parameter, in the order of the computation."""
        h, e = self.hidden_size, self.embedding_size or self.hidden_size
        shapes: Dict[str, Tuple[int, ...]] = {
            "embeddings.word": (self.vocab_size, e),
            "embeddings.position": (self.max_position_embeddings, e),
            **({} if self.separator is None else {TOKEN_TYPE: (e,)}),
            **_norm("embeddings.norm", e),
        }
        if self.embedding_size is not None:
            shapes.update({f"{PROJECTION}.kernel": (e, h), f"{PROJECTION}.bias": (h,)})
        for index, layer in enumerate(self.layers):
            for component, (rows, columns) in layer.kernel_shapes(h).items():
                shapes[f"layers.{index}.{component}.kernel"] = (rows, columns)
                shapes[f"layers.{index}.{component}.bias"] = (columns,)
            if self.relative_buckets:
                shapes[f"layers.{index}.{POSITION_BIAS}"] = (layer.num_attention_heads, self.relative_buckets)
            shapes.update(_norm(f"layers.{index}.attention_norm", h))
            shapes.update(_norm(f"layers.{index}.output_norm", h))
        return shapes

    def kernel_names(self) -> Iterator[str]:
        """Names of the matrices of the encoder's layers, which are pruned and of which sparsity is a share."""
        for index in range(len(self.layers)):
            for component in COMPONENTS:
                yield f"layers.{index}.{component}.kernel"

    def encoder_size(self) -> int:
        """The number of weights in the matrices of all layers, the denominator of sparsity."""
        return sum(
            rows * columns for layer in self.layers for rows, columns in layer.kernel_shapes(self.hidden_size).values()
        )

    @property
    def is_possible(self) -> bool:
        """Whether the encoder has no more parameters and positions than are supported."""
        if self.max_position_embeddings > _MOST_POSITIONS:
            return False
        sizes = (math.prod(max(1, abs(size)) for size in sizes) for sizes in self.parameter_shapes().values())
        return sum(sizes) <= _MOST_PARAMETERS

    def to_dict(self) -> Dict[str, Any]:
        """The shape as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderShape:
        """The inverse of `to_dict`.

        Raises:
            ArtifactError: if the values do not describe an encoder, or if it has more parameters or positions than are
                supported.
        """
        try:
            if len(values["layers"]) > MOST_LAYERS:
                raise ArtifactError(f"The encoder has more than {MOST_LAYERS} layers, which is not supported.")
            layers = tuple(LayerShape(**layer) for layer in values["layers"])
            shape = cls(**{**values, "layers": layers})
            is_possible = shape.is_possible
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"The model has no valid shape of an encoder ({error}). Train it again.") from error
        if shape.hidden_act not in ACTIVATIONS:
            raise ArtifactError(f"The activation {shape.hidden_act!r} of the encoder is not supported.")
        if not is_possible:
            raise ArtifactError(
                f"The encoder has more than {_MOST_PARAMETERS} parameters or {_MOST_POSITIONS} positions, which is not "
                "supported."
            )
        return shape


def shapes_of(manifest: Mapping[str, Any]) -> Tuple[EncoderShape, EncoderShape]:
    """The shapes of the encoder of a model before and after compression.

    Raises:
        ArtifactError: if one of them is not the shape of an encoder, or if their hidden sizes differ.
    """
    dense, now = (EncoderShape.from_dict(manifest[key]) for key in ("dense_encoder", "encoder"))
    if dense.hidden_size != now.hidden_size:
        raise ArtifactError("The hidden size of the encoder is not what it was before compression: train it again.")
    return dense, now


def _norm(name: str, size: int) -> Dict[str, Tuple[int, ...]]:
    return {f"{name}.gamma": (size,), f"{name}.beta": (size,)}
