"""Pairs of texts with token types: our encoder and every engine compute what transformers computes."""

from dataclasses import replace

import numpy as np
import pytest
import transformers
from tokenizers import Tokenizer

from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.shape import TOKEN_TYPE, EncoderShape
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.engines import open_engine
from rasa_compressed_bert.tokenization.pairs import pair_template

PAIRS = [
    ("what is it", "the weather is good today , i will call you"),
    ("when", "pizza"),
    ("how much", "the bank is hot and the card is very cold ! no"),
]


def batch_of(tokenizer):
    """Ids, mask and token types from the tokenizers library.  # (B, T) each"""
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(PAIRS)
    return (
        np.array([getattr(one, name) for one in encodings], np.int32) for name in ("ids", "attention_mask", "type_ids")
    )


def state_of(folder):
    checkpoint = load_pretrained(str(folder))
    separator = pair_template(checkpoint.tokenizer).separator
    shape = replace(checkpoint.shape, separator=separator)
    return ModelState(shape, checkpoint.parameters, checkpoint.tokenizer)


@pytest.fixture(params=["bert", "electra"])
def weights(request, tiny_weights, tiny_electra_weights):
    """A transformers model and its folder."""
    name, folder = {
        "bert": (transformers.TFBertModel, tiny_weights),
        "electra": (transformers.TFElectraModel, tiny_electra_weights),
    }[request.param]
    return name.from_pretrained(folder), folder


def test_hidden_states_of_pairs(weights):
    reference, folder = weights
    state = state_of(folder)
    ids, mask, types = batch_of(Tokenizer.from_str(state.tokenizer))
    expected = reference(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state.numpy()
    ours = BertEncoder(state.shape, state.parameters)(ids, mask)[-1].numpy()
    assert np.abs(ours - expected)[mask == 1].max() < 1e-5
    untyped = reference(input_ids=ids, attention_mask=mask).last_hidden_state.numpy()
    assert np.abs(ours - untyped)[mask == 1].max() > 1e-2


@pytest.mark.parametrize(
    "runtime, method, farthest",
    [
        ("onnxruntime", "none", 1e-4),
        ("onnxruntime", "dynamic_int8", 0.2),
        ("tensorflow", "none", 1e-5),
        pytest.param("tflite", "none", 1e-4, marks=pytest.mark.slow),
    ],
)
def test_engines_serve_pairs(tiny_weights, runtime, method, farthest):
    reference, state = transformers.TFBertModel.from_pretrained(tiny_weights), state_of(tiny_weights)
    form = Format(QuantizationConfig(method=method), runtime)
    engine = open_engine(serving_artifact(state, form, kind="featurizer", manifest={}))
    ids, mask, types = batch_of(Tokenizer.from_str(state.tokenizer))
    expected = reference(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state.numpy()
    (served,) = engine.run(ids.astype(np.int64), mask.astype(np.int64))
    assert np.abs(served - expected)[mask == 1].max() < farthest


def test_a_message_alone_is_the_first_text(tiny_weights):
    """Its separator is the last wordpiece, so there is no second text."""
    state, checkpoint = state_of(tiny_weights), load_pretrained(str(tiny_weights))
    ids = np.array([Tokenizer.from_str(state.tokenizer).encode("the weather is good").ids])
    typed = BertEncoder(state.shape, state.parameters)(ids, np.ones_like(ids))[-1]
    untyped = BertEncoder(checkpoint.shape, checkpoint.encoder_parameters)(ids, np.ones_like(ids))[-1]
    np.testing.assert_array_equal(typed, untyped)


def test_weights_without_token_types(tiny_weights, tiny_distilbert_weights, tiny_mpnet_weights):
    assert load_pretrained(str(tiny_weights)).parameters[TOKEN_TYPE].shape == (32,)
    for folder in (tiny_distilbert_weights, tiny_mpnet_weights):
        assert TOKEN_TYPE not in load_pretrained(str(folder)).parameters


def test_models_of_messages_have_none(tiny_weights):
    checkpoint = load_pretrained(str(tiny_weights))
    assert checkpoint.shape.separator is None and TOKEN_TYPE not in checkpoint.encoder_parameters
    stored = checkpoint.shape.to_dict()
    del stored["separator"]  # as in an older model
    assert EncoderShape.from_dict(stored) == checkpoint.shape
