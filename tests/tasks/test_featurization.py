"""From pretrained weights to the features of messages."""

import json
from functools import lru_cache

import numpy as np
import pytest

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, read_artifact, write_artifact
from rasa_compressed_bert.config import QuantizedBertFeaturizerConfig
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.runtime.word_featurizer import WordFeaturizer
from rasa_compressed_bert.tasks.featurization import compress_encoder, featurize
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

MESSAGES = [
    text.split() for text in ("it is hot today", "hello", "please play the music very loud !", "pizza", "a b c")
]
FORMATS = {
    "none": {"method": "none"},
    "dynamic_int8": {},
    "static_int8": {"method": "static_int8"},
    "kmeans": {"method": "kmeans", "encoder_bits": 6, "embedding_bits": 6},
}
LEAST_SIMILARITY = {"none": 0.99999, "dynamic_int8": 0.99, "static_int8": 0.99, "kmeans": 0.97}


@pytest.fixture(scope="module")
def compress(tiny_weights):
    def build(messages=MESSAGES, **options):
        options = {"model_weights": str(tiny_weights), "max_length": 32, **options}
        return compress_encoder(messages, QuantizedBertFeaturizerConfig.from_dict(options))

    return build


@pytest.fixture(scope="module")
def compressed(compress):
    """Makes the artifact of a format, once each."""
    return lru_cache(maxsize=None)(lambda method: compress(quantization=FORMATS[method]))


@pytest.fixture(scope="module")
def exact(compressed):
    return compressed("none")


def similarity(ours, theirs):
    return np.sum(ours * theirs, axis=-1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1)


@pytest.mark.parametrize("method", FORMATS)
def test_features_are_near_those_of_the_pretrained_weights(compressed, tiny_weights, tmp_path, method):
    write_artifact(compressed(method), tmp_path)
    checkpoint = load_pretrained(str(tiny_weights))
    encoder = BertEncoder(checkpoint.shape, checkpoint.parameters)
    tokenizer = WordpieceTokenizer(checkpoint.tokenizer, 32)
    features = featurize(WordFeaturizer(read_artifact(tmp_path)), MESSAGES)
    assert len(features) == len(MESSAGES)
    for (words, sentence), message in zip(features, MESSAGES):
        assert words.shape == (len(message), 32) and sentence.shape == (1, 32) and words.dtype == np.float32
        (encoded,) = tokenizer.encode_words([message])
        ids = encoded.input_ids[np.newaxis]
        hidden = encoder(ids, np.ones_like(ids))[-1].numpy()[0]
        assert similarity(words, encoded.pooled(hidden)).min() > LEAST_SIMILARITY[method]
        assert similarity(sentence, hidden.mean(axis=0, keepdims=True)).min() > LEAST_SIMILARITY[method]


@pytest.mark.parametrize("method", FORMATS)
def test_what_an_artifact_says(compressed, method):
    manifest = json.loads(json.dumps(compressed(method).manifest))
    assert manifest["kind"] == "featurizer" and manifest["max_length"] == 32
    assert manifest["parity"]["messages"] == len(MESSAGES) and manifest["parity"]["similarity"] > 0.99
    assert manifest["encoder"] == manifest["dense_encoder"]
    assert manifest["quantization"]["method"] == method


def test_formats_are_smaller(compress, compressed, exact):
    sizes = [len(compressed(method).files[WEIGHTS]) for method in ("dynamic_int8", "static_int8")]
    assert max(sizes) < 0.5 * len(exact.files[WEIGHTS])
    two_bits = compress(quantization={"method": "kmeans", "encoder_bits": 2, "embedding_bits": 4})
    assert len(two_bits.files[WEIGHTS]) < 0.6 * min(sizes)


def test_without_messages_there_is_nothing_to_calibrate_on(compress):
    with pytest.raises(DataError, match="static_int8 needs messages"):
        compress(messages=[], quantization={"method": "static_int8"})
    artifact = compress(messages=[])
    assert artifact.manifest["parity"]["messages"] == 1
    assert featurize(WordFeaturizer(artifact), [["hello"]])[0].words.shape == (1, 32)


def test_messages_without_words(compress):
    artifact = compress(messages=[[], ["hello"], [""]])
    features = featurize(WordFeaturizer(artifact), [[], ["hello"], ["\u200b"]])
    assert [words.shape for words, _ in features] == [(0, 32), (1, 32), (1, 32)]
    assert not features[2].words.any() and all(np.isfinite(sentence).all() for _, sentence in features)


def test_a_trimmed_vocabulary(compress):
    artifact = compress(vocabulary="trim", vocabulary_size=100)
    assert artifact.manifest["encoder"]["vocab_size"] == 100
    assert len(json.loads(artifact.files[TOKENIZER])["model"]["vocab"]) == 100
    assert featurize(WordFeaturizer(artifact), [["goodbye", "zebra"]])[0].words.any(axis=1).all()


def test_an_artifact_is_repeatable(compress):
    assert compress() == compress()


def test_no_messages_have_no_features(exact):
    assert featurize(WordFeaturizer(exact), []) == []


def test_a_message_is_encoded_once_and_features_come_in_their_order(exact, monkeypatch):
    featurizer = WordFeaturizer(exact)
    alone = [featurize(featurizer, [message])[0] for message in MESSAGES]
    encoded, features = [], featurizer.features

    def noted(words):
        encoded.append(tuple(words.input_ids))
        return features(words)

    monkeypatch.setattr(featurizer, "features", noted)
    order = np.random.default_rng(0).integers(0, len(MESSAGES), 200)
    found = featurize(featurizer, [MESSAGES[index] for index in order])
    assert len(encoded) == len(set(encoded)) == len(MESSAGES)
    for index, (words, sentence) in zip(order, found):
        assert np.array_equal(words, alone[index].words) and np.array_equal(sentence, alone[index].sentence)


@pytest.mark.parametrize(
    "method, runtime",
    [
        *((method, "onnxruntime") for method in FORMATS),
        *((method, "tflite") for method in ("dynamic_int8", "kmeans")),
        *((method, "tensorflow") for method in ("none", "static_int8")),
    ],
)
def test_features_do_not_depend_on_other_messages(compress, method, runtime):
    """Components train on the features of all messages at once, but serve one message at a time."""
    messages = [*MESSAGES, *([f"{number}"] * (1 + number % 7) for number in range(60))]
    featurizer = WordFeaturizer(compress(quantization=FORMATS[method], runtime=runtime))
    for message, among in zip(messages, featurize(featurizer, messages)):
        alone = featurizer.features(*featurizer.encode_words([message]))
        assert np.array_equal(among.words, alone.words) and np.array_equal(among.sentence, alone.sentence)
