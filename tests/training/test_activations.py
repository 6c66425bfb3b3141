"""Activation extremes equal those of a plain forward pass."""

import numpy as np
import pytest
import tensorflow as tf
from random_models import UNEVEN, random_parameters, random_shape

from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.training.activations import activation_extremes

SHAPE = random_shape(UNEVEN)


def messages(*lengths):
    rng = np.random.default_rng(0)
    return [rng.integers(1, SHAPE.vocab_size, length).astype(np.int32) for length in lengths]


class Recorder(Quantizer):
    """Records all activations of an eager forward pass."""

    def __init__(self):
        self.seen = {}

    def activation(self, name, x, attention_mask=None):
        self.seen.setdefault(name, []).append(x.numpy().reshape(-1, x.shape[-1]))
        return x


def recorded(model, encoder, input_ids):
    before, encoder.quantizer = encoder.quantizer, Recorder()
    for ids in input_ids:
        model(tf.constant(ids[np.newaxis]), tf.ones([1, len(ids)], tf.int32))
    rows, encoder.quantizer = encoder.quantizer.seen, before
    return {name: np.concatenate(parts) for name, parts in rows.items()}


@pytest.mark.parametrize("pooler_size", [0, 16])
def test_extremes_are_those_of_an_eager_loop(pooler_size):
    model = TaskModel(SHAPE, random_parameters(SHAPE, pooler_size=pooler_size))
    input_ids = messages(3, 9, 1, 9, 20)
    extremes = activation_extremes(model, model.encoder, input_ids)
    expected = recorded(model, model.encoder, input_ids)
    assert set(extremes) == set(expected)
    for name, rows in expected.items():
        low, high = np.minimum(rows.min(axis=0), 0.0), np.maximum(rows.max(axis=0), 0.0)
        np.testing.assert_allclose(extremes[name], [low, high], atol=1e-5, err_msg=name)


def test_every_product_that_is_left_after_pruning_is_observed():
    encoder = BertEncoder(SHAPE, random_parameters(SHAPE))
    extremes = activation_extremes(encoder, encoder, messages(4))
    assert {name: channels.shape for name, channels in extremes.items()} == {
        "layers.0.query_key_value": (2, 32),
        "layers.0.attention_output": (2, 32),
        "layers.0.intermediate": (2, 32),
        "layers.0.output": (2, 64),
        "layers.1.query_key_value": (2, 32),
        "layers.1.attention_output": (2, 24),
        "layers.1.intermediate": (2, 32),
        "layers.1.output": (2, 24),
        "layers.2.intermediate": (2, 32),
        "layers.2.output": (2, 40),
        "layers.3.query_key_value": (2, 32),
        "layers.3.attention_output": (2, 3),
    }


@pytest.mark.parametrize("beta, expected", [(0.7, (0.0, 0.7)), (-0.4, (-0.4, 0.0))])
def test_zero_is_always_within(beta, expected):
    shape = random_shape(((1, 8, 8, 8),))
    parameters = random_parameters(shape)
    parameters["embeddings.norm.gamma"][:] = 0
    parameters["embeddings.norm.beta"][:] = beta
    encoder = BertEncoder(shape, parameters)
    extremes = activation_extremes(encoder, encoder, messages(5))["layers.0.query_key_value"]
    np.testing.assert_allclose(extremes, np.tile([[expected[0]], [expected[1]]], 32), rtol=1e-6)


def test_more_messages_widen_the_extremes():
    encoder = BertEncoder(SHAPE, random_parameters(SHAPE))
    input_ids = messages(3, 9, 20)
    few, many = (activation_extremes(encoder, encoder, input_ids[:count]) for count in (1, 3))
    for name, (low, high) in many.items():
        assert (low <= few[name][0]).all() and (high >= few[name][1]).all(), name


def test_the_models_own_quantizer_is_put_back():
    encoder = BertEncoder(SHAPE, random_parameters(SHAPE), quantizer=Recorder())
    own = encoder.quantizer
    activation_extremes(encoder, encoder, messages(3))
    assert encoder.quantizer is own and not own.seen


def test_the_models_own_quantizer_is_put_back_after_an_error():
    encoder = BertEncoder(SHAPE, random_parameters(SHAPE), quantizer=Recorder())
    own = encoder.quantizer

    def broken(input_ids, attention_mask):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        activation_extremes(broken, encoder, messages(3))
    assert encoder.quantizer is own


@pytest.mark.parametrize("none", [[], (), np.zeros((0, 5), np.int32)])
def test_no_messages(none):
    encoder = BertEncoder(SHAPE, random_parameters(SHAPE))
    with pytest.raises(DataError, match="static_int8 needs messages to calibrate on.*Add NLU examples"):
        activation_extremes(encoder, encoder, none)
