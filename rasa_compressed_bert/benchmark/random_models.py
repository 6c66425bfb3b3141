"""Models with random weights, to measure speed and size: these are the same as with trained weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.models.head_layer import CLASSIFIER, TAGGER
from rasa_compressed_bert.models.shape import EncoderShape, LayerShape
from rasa_compressed_bert.models.state import ModelState


def bert_base_shape(*, vocab_size: int = 30522, max_position_embeddings: int = 128) -> EncoderShape:
    """BERT-base: 12 layers, hidden size 768, 12 heads of 64, 3,072 intermediate neurons."""
    layer = LayerShape(12, 64, 64, 3072)
    return EncoderShape(vocab_size, 768, max_position_embeddings, 64, 1e-12, "gelu", (layer,) * 12)


def minilm_shape() -> EncoderShape:
    """all-MiniLM-L6-v2: 6 layers, hidden size 384, 12 heads of 32, 1,536 intermediate neurons."""
    layer = LayerShape(12, 32, 32, 1536)
    return replace(bert_base_shape(), hidden_size=384, head_size=32, layers=(layer,) * 6)


def evenly_pruned(shape: EncoderShape, sparsity: float) -> EncoderShape:
    """Removes the same share of heads and neurons (in multiples of 8) from every layer: `sparsity` of its weights."""
    hidden, layers = shape.hidden_size, []
    for layer in shape.layers:
        heads = max(1, round(layer.num_attention_heads * (1.0 - sparsity)))
        attention = replace(layer, num_attention_heads=heads, intermediate_size=0)
        weights = (1.0 - sparsity) * _size(layer, hidden) - _size(attention, hidden)
        layers.append(replace(attention, intermediate_size=max(8, round(weights / (2 * hidden) / 8) * 8)))
    return replace(shape, layers=tuple(layers))


def random_artifact(shape: EncoderShape, *, int8: bool, classes: int = 10, tags: int = 0, seed: int = 0) -> Artifact:
    """An artifact for an engine, without tokenizer and labels; with neither classes nor tags only the encoder."""
    from rasa_compressed_bert.export.serving import Format, serving_artifact  # only needed to write models

    form = Format(QuantizationConfig(method="dynamic_int8" if int8 else "none"))
    model = ModelState(shape, random_parameters(shape, classes, tags, seed=seed), tokenizer="")
    return serving_artifact(model, form, kind="intent_classifier", manifest={})


def random_parameters(shape: EncoderShape, classes: int, tags: int, *, seed: int) -> Dict[str, np.ndarray]:
    """Random parameters of an encoder, of a classifier of `classes` intents, and of a tagger; 0 for none."""
    rng = np.random.default_rng(seed)
    shapes = shape.parameter_shapes()
    for layer, width in ((CLASSIFIER, classes), (TAGGER, tags)):
        if width:
            rows = layer.rows(shape.hidden_size, shape.hidden_size)
            shapes = {**shapes, layer.kernel: (rows, width), layer.bias: (width,)}
    return {
        name: np.ones(dimensions, np.float32)
        if name.endswith(".gamma")
        else 0.02 * rng.standard_normal(dimensions, np.float32)
        for name, dimensions in shapes.items()
    }


def _size(layer: LayerShape, hidden_size: int) -> int:
    return sum(rows * columns for rows, columns in layer.kernel_shapes(hidden_size).values())
