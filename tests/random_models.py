"""Small encoders of any width with random parameters."""

import numpy as np
from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name

from rasa_compressed_bert.models.shape import EncoderShape, LayerShape

UNEVEN = ((4, 8, 8, 64), (3, 5, 8, 24), (0, 0, 0, 40), (1, 8, 3, 0))
"""Widths of layers (heads, query_key_size, value_size, intermediate_size): one has no heads, and one no neurons."""


def random_shape(layers=((4, 8, 8, 64), (4, 8, 8, 64)), *, hidden_size=32, vocab_size=50, **options):
    return EncoderShape(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        max_position_embeddings=40,
        head_size=8,
        layer_norm_eps=1e-12,
        layers=tuple(LayerShape(*layer) for layer in layers),
        **{"hidden_act": "gelu", **options},
    )


def random_parameters(shape, *, num_classes=5, num_tags=0, pooler_size=0, seed=0, scale=0.2):
    """Parameters of encoder and heads; norm scales are near 1, all others near 0."""
    rng = np.random.default_rng(seed)
    parameters = {
        name: (rng.normal(0.0, scale, size) + name.endswith("gamma")).astype(np.float32)
        for name, size in shape.parameter_shapes().items()
    }
    width = pooler_size or shape.hidden_size
    if pooler_size:
        parameters["pooler.kernel"] = rng.normal(0.0, scale, (shape.hidden_size, width)).astype(np.float32)
        parameters["pooler.bias"] = rng.normal(0.0, scale, width).astype(np.float32)
    parameters["classifier.kernel"] = rng.normal(0.0, scale, (width, num_classes)).astype(np.float32)
    parameters["classifier.bias"] = rng.normal(0.0, scale, num_classes).astype(np.float32)
    if num_tags:
        parameters["tagger.kernel"] = rng.normal(0.0, scale, (3 * shape.hidden_size, num_tags)).astype(np.float32)
        parameters["tagger.bias"] = rng.normal(0.0, scale, num_tags).astype(np.float32)
    return parameters


def random_batch(shape, *, lengths=(9, 4, 1), seed=0):
    """Padded ids and their mask.  # (B, T), (B, T)"""
    rng = np.random.default_rng(seed)
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, np.newaxis]).astype(np.int32)
    return (rng.integers(1, shape.vocab_size, mask.shape) * mask).astype(np.int32), mask


def pytorch_tensors(model):
    """The weights of a TensorFlow model with the names and axes of its PyTorch class."""
    tensors = {}
    for variable in model.variables:
        name, transpose = convert_tf_weight_name_to_pt_weight_name(
            variable.name, start_prefix_to_remove=f"{model.base_model_prefix}.", tf_weight_shape=variable.shape
        )
        value = variable.numpy()
        tensors[name] = np.ascontiguousarray(value.T if transpose.name == "SIMPLE" else value)
    return tensors
