"""The forward pass as a TensorFlow graph without weights: the fp32 reference.

Weights are placeholders, named after the packed tensors that the engine feeds, so that they are stored only once: `x`
takes the tensor of that name, `x/3/5` its columns 3 and 4 (packing joins query, key and value, the encoder does not).
"""

from __future__ import annotations

from typing import Dict, Mapping

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.compression.quantization import stored_name
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.task_model import forward_pass, head_parameters


def to_graph_def(shape: EncoderShape, tensors: Mapping[str, np.ndarray]) -> bytes:
    """A serialized `GraphDef` from `input_ids` and `attention_mask`, (B, T) int32, to `output_0`, `output_1` and so on.

    The outputs are those of `onnx_graph.onnx_model` with features.

    Args:
        shape: the widths.
        tensors: the result of `packing.pack`; only names and shapes are used.
    """
    with tf.Graph().as_default() as graph, tf.variable_creator_scope(_no_variable):
        batch = [tf.compat.v1.placeholder(tf.int32, (None, None), name) for name in ("input_ids", "attention_mask")]
        parameters = _placeholders(shape, tensors)
        for number, output in enumerate(forward_pass(shape, parameters, features=True)(*batch)):
            tf.identity(output, name=f"output_{number}")
    return graph.as_graph_def().SerializeToString(deterministic=True)


def _no_variable(_: object, initial_value: tf.Tensor, **options: object) -> tf.Tensor:
    """Returns the placeholder that would be the initial value of a variable, instead of creating the variable."""
    return initial_value


def _placeholders(shape: EncoderShape, tensors: Mapping[str, np.ndarray]) -> Dict[str, tf.Tensor]:
    sizes = {**shape.parameter_shapes(), **{name: tensors[name].shape for name in head_parameters(tensors)}}
    parameters, columns = {}, dict.fromkeys(tensors, 0)  # number of columns of each tensor that are assigned
    for name, size in sizes.items():
        stored = stored_name(name)
        if 0 in size:  # matrices that pruning has emptied are not stored
            parameters[name] = tf.zeros(size)
            continue
        begin, columns[stored] = columns[stored], columns[stored] + size[-1]
        label = name if stored == name else f"{stored}/{begin}/{columns[stored]}"
        parameters[name] = tf.compat.v1.placeholder(tf.float32, size, label)
    return parameters
