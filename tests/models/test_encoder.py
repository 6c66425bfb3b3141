"""Our encoder computes what transformers' encoders compute."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import transformers
from random_models import UNEVEN, random_batch, random_parameters, random_shape

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models import families
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.pretrained import load_pretrained, local_folder
from rasa_compressed_bert.models.task_model import FEATURES, TaskModel


def randomised(model):
    model(np.array([[2, 3]]))
    rng = np.random.default_rng(3)
    for variable in model.variables:
        variable.assign(variable + rng.normal(0.0, 0.2, variable.shape).astype(np.float32))
    return model


def saved(model, folder, tiny_weights):
    model.save_pretrained(folder, safe_serialization=True)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).write_bytes((tiny_weights / name).read_bytes())
    return str(folder)


def padded_batch(vocab_size, lengths):
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, np.newaxis]).astype(np.int32)
    return (np.random.default_rng(3).integers(5, vocab_size, mask.shape) * mask).astype(np.int32), mask


def differences(reference, name, lengths):
    """Largest differences of hidden states over all positions that are not padding."""
    checkpoint = load_pretrained(name)
    encoder = BertEncoder(checkpoint.shape, checkpoint.parameters)
    ids, mask = padded_batch(checkpoint.shape.vocab_size, lengths)
    expected = reference(input_ids=ids, attention_mask=mask).last_hidden_state.numpy()
    return np.abs(encoder(ids, mask)[-1].numpy() - expected)[mask == 1].max()


@pytest.mark.parametrize(
    "heads, head_size, intermediate, activation",
    [(1, 8, 16, "gelu"), (4, 8, 48, "gelu_new"), (3, 5, 7, "relu"), (2, 16, 64, "gelu")],
)
def test_encoder_equals_transformers_bert(tmp_path, tiny_weights, heads, head_size, intermediate, activation):
    config = transformers.BertConfig(
        vocab_size=139,
        hidden_size=heads * head_size,
        num_hidden_layers=3,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        hidden_act=activation,
        max_position_embeddings=20,
    )
    reference = randomised(transformers.TFBertModel(config))
    name = saved(reference, tmp_path, tiny_weights)
    assert differences(reference, name, [20, 7, 1]) < 1e-5
    assert differences(reference, name, [3]) < 1e-5


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_encoder_equals_transformers_distilbert(tmp_path, tiny_weights, activation):
    config = transformers.DistilBertConfig(
        vocab_size=139,
        dim=24,
        n_layers=2,
        n_heads=3,
        hidden_dim=40,
        activation=activation,
        max_position_embeddings=20,
    )
    reference = randomised(transformers.TFDistilBertModel(config))
    assert differences(reference, saved(reference, tmp_path, tiny_weights), [20, 7, 1]) < 1e-5


def test_encoder_equals_transformers_for_a_family_that_is_registered(tmp_path, tiny_weights, monkeypatch):
    monkeypatch.setattr(families, "_FAMILIES", {**families._FAMILIES})
    config = transformers.RemBertConfig(
        vocab_size=139,
        input_embedding_size=16,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=20,
    )
    reference = randomised(transformers.TFRemBertModel(config))
    name = saved(reference, tmp_path, tiny_weights)
    with pytest.raises(WeightsError, match="'rembert', which is not supported; use one of 'bert', 'distilbert'"):
        load_pretrained(name)
    rembert = replace(
        families.family_of("bert"),
        settings={"embedding_size": "input_embedding_size"},
        projection="encoder/embedding_hidden_mapping_in",
    )
    families.register_family("rembert", rembert)
    assert differences(reference, name, [20, 3, 11]) < 1e-5


def test_encoder_equals_transformers_on_the_shipped_weights():
    folder = str(local_folder("all-MiniLM-L6-v2"))
    reference = transformers.TFBertModel.from_pretrained(folder)
    assert differences(reference, "all-MiniLM-L6-v2", [24, 11]) < 1e-5


def test_pooler_equals_transformers(tiny_weights):
    checkpoint = load_pretrained(str(tiny_weights))
    head = {"classifier.kernel": np.eye(32, dtype=np.float32), "classifier.bias": np.zeros(32, np.float32)}
    model = TaskModel(checkpoint.shape, {**checkpoint.parameters, **head})
    ids, mask = padded_batch(139, [12, 5])
    expected = transformers.TFBertModel.from_pretrained(str(tiny_weights))(input_ids=ids, attention_mask=mask)
    np.testing.assert_allclose(model(ids, mask).heads["logits"], expected.pooler_output, atol=1e-5)


def test_hidden_states_of_every_layer_equal_transformers(tiny_weights):
    checkpoint = load_pretrained(str(tiny_weights))
    ids, mask = padded_batch(139, [12, 5])
    reference = transformers.TFBertModel.from_pretrained(str(tiny_weights))
    expected = reference(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    states = BertEncoder(checkpoint.shape, checkpoint.parameters)(ids, mask)
    assert len(states) == len(expected) == 3
    for ours, theirs in zip(states, expected):
        np.testing.assert_allclose(ours.numpy()[mask == 1], theirs.numpy()[mask == 1], atol=1e-5)


def test_padding_changes_no_logits():
    shape = random_shape(UNEVEN)
    for pooler_size in (0, 16):
        model = TaskModel(shape, random_parameters(shape, pooler_size=pooler_size))
        ids, mask = random_batch(shape, lengths=(9, 4, 1))
        together = model.predict(ids, mask)["logits"]
        for row, length in enumerate((9, 4, 1)):
            alone = model.predict(ids[row : row + 1, :length], mask[row : row + 1, :length])["logits"]
            np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_mean_pooling_is_the_mean_of_the_wordpieces():
    shape = random_shape()
    parameters = random_parameters(shape)
    model = TaskModel(shape, parameters)
    ids, mask = random_batch(shape, lengths=(6,))
    mean = model.encoder(ids, mask)[-1].numpy()[0].mean(axis=0)
    expected = mean @ parameters["classifier.kernel"] + parameters["classifier.bias"]
    np.testing.assert_allclose(model(ids, mask).heads["logits"][0], expected, atol=1e-5)
    np.testing.assert_allclose(model.head_inputs(ids, mask)[FEATURES][0], mean, atol=1e-5)


def test_values_and_assign_are_inverse():
    shape = random_shape(UNEVEN)
    model = TaskModel(shape, random_parameters(shape, seed=1))
    other = random_parameters(shape, seed=2)
    model.assign(other)
    values = model.values()
    assert set(values) == set(other)
    for name, value in other.items():
        np.testing.assert_array_equal(values[name], value)


def test_values_do_not_follow_later_training():
    shape = random_shape()
    model = TaskModel(shape, random_parameters(shape))
    before = model.values()
    copy = {name: value.copy() for name, value in before.items()}
    for variable in model.variables_in_order():
        variable.assign_add(tf.ones_like(variable))
    for name, value in copy.items():
        np.testing.assert_array_equal(before[name], value)


def test_every_parameter_is_trained():
    shape = random_shape()
    for pooler_size in (0, 16):
        parameters = random_parameters(shape, pooler_size=pooler_size)
        model = TaskModel(shape, parameters)
        assert {variable.name.split(":")[0] for variable in model.variables_in_order()} == set(parameters)


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    ones = tf.ones([200, 200])
    dropped = Dropout(0.25, seed=1)(ones, True).numpy()
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    assert abs((dropped == 0).mean() - 0.25) < 0.02


def test_dropout_is_off_outside_of_training_and_repeatable_by_seed():
    ones = tf.ones([50])
    assert Dropout(0.5)(ones, False) is ones
    assert Dropout(0.0)(ones, True) is ones
    first, again, other = (Dropout(0.5, seed=seed)(ones, True).numpy() for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_dropout_leaves_the_global_random_state_alone():
    tf.random.set_seed(5)
    expected = tf.random.uniform([3]).numpy()
    tf.random.set_seed(5)
    Dropout(0.5, seed=1)(tf.ones([50]), True)
    np.testing.assert_array_equal(tf.random.uniform([3]), expected)
