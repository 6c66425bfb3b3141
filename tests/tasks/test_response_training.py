"""Responses of retrieval intents of one tiny model in every runtime and format, and after pruning."""

import json

import numpy as np
import pytest

from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.tasks.bert_training import requantize_bert, train_bert

pytestmark = pytest.mark.slow
QUICK = {"epochs": 8, "batch_size": 16, "learning_rate": 0.003, "max_length": 32}
WORDS = {
    "faq/weather": "weather rain sun".split(),
    "faq/food": "pizza curry spice".split(),
    "chat/music": "music song play".split(),
    "chat/bank": "bank card money".split(),
    "greet": "hello hi hey".split(),
}
FRAMES = ["what is the {}", "please the {}", "my {} today", "{} now", "how is the {}", "i will {}"]


def example(label, text):
    return Example(text, label.split("/")[0], response=label if "/" in label else None)


EXAMPLES = [example(label, frame.format(word)) for frame in FRAMES for label, words in WORDS.items() for word in words]
ASKED = [one for one in EXAMPLES if one.response]


@pytest.fixture(scope="module")
def options(tiny_weights):
    return {"model_weights": str(tiny_weights), **QUICK}


@pytest.fixture(scope="module")
def trained(options):
    return train_bert(EXAMPLES, PrunedBertIntentClassifierConfig.from_dict(options))


@pytest.fixture(scope="module")
def floats(options, trained):
    config = PrunedBertIntentClassifierConfig.from_dict({**options, "quantization": {"method": "none"}})
    return requantize_bert(EXAMPLES, config, trained)


def rankings(artifact):
    predictor = MessagePredictor(artifact)
    return [predictor.predict(one.text).found["responses"] for one in ASKED]


def right(artifact):
    return np.mean([found[one.intent][0][0] == one.response for one, found in zip(ASKED, rankings(artifact))])


def test_responses_are_learnt_calibrated_and_kept_by_the_export(trained):
    manifest = json.loads(json.dumps(trained.manifest, allow_nan=False))
    assert manifest["responses"]["labels"] == ["chat/bank", "chat/music", "faq/food", "faq/weather"]
    assert manifest["responses"]["temperature"] > 0 and manifest["outputs"].count("response_logits") == 1
    assert manifest["labels"] == ["chat", "faq", "greet"]
    assert manifest["parity"]["responses"]["messages"] == len(ASKED), "of messages with a response alone"
    assert manifest["cross_fitted"]["score"]["responses_accuracy"] > 0.5
    assert set(manifest["cross_fitted"]["responses"]["accuracies"]) == {"head", "refit"}
    assert right(trained) >= 0.9


FORMATS = {
    "static_int8": {"quantization": {"method": "static_int8"}},
    "kmeans": {"quantization": {"method": "kmeans", "encoder_bits": 4, "embedding_bits": 4}},
    "tflite": {"runtime": "tflite", "quantization": {"method": "none"}},
    "tflite, dynamic_int8": {"runtime": "tflite"},
    "tensorflow": {"runtime": "tensorflow", "quantization": {"method": "none"}},
}


@pytest.mark.parametrize("more", FORMATS.values(), ids=FORMATS)
def test_formats_and_runtimes(options, floats, more):
    config = PrunedBertIntentClassifierConfig.from_dict({**options, **more})
    artifact = requantize_bert(EXAMPLES, config, floats)
    assert artifact.manifest["runtime"] == config.runtime
    assert right(artifact) >= 0.9
    if config.quantization.method == "none":  # the same numbers as from ONNX Runtime
        for ours, theirs in zip(rankings(floats), rankings(artifact)):
            for intent, ranking in ours.items():
                assert dict(theirs[intent]) == pytest.approx(dict(ranking), abs=1e-3)


def test_without_cross_fitting_the_layer_is_fitted_again(options):
    config = PrunedBertIntentClassifierConfig.from_dict({**options, "validation_split": 0.0, "epochs": 2})
    artifact = train_bert(EXAMPLES, config)
    assert artifact.manifest["responses"]["temperature"] == 1.0 and artifact.manifest["cross_fitted"] is None
    assert right(artifact) >= 0.8


def test_switched_off_nothing_of_responses_is_stored(options):
    more = {"response_selection": False, "epochs": 1, "pruning": {"method": "none"}, "validation_split": 0.0}
    artifact = train_bert(EXAMPLES, PrunedBertIntentClassifierConfig.from_dict({**options, **more}))
    assert "responses" not in artifact.manifest and "response_logits" not in artifact.manifest["outputs"]
    assert set(MessagePredictor(artifact).predict("hello").found) == {"intents"}
