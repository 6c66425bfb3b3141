"""Outputs of a served model for later stages of training do not depend on the number of messages."""

import numpy as np
import pytest
from random_models import random_parameters, random_shape
from shipped_tokenizer import minilm_tokenizer

from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.data.entities import TagScheme
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.tasks import served_outputs as served_outputs_module
from rasa_compressed_bert.tasks.served_outputs import encoder_of, outputs_of_messages, served_outputs

TEXTS = [" ".join(["hello there"] * (1 + number % 6)) + f" {number}" for number in range(70)]


def artifact_of(tokenizer, *, runtime="onnxruntime", **manifest):
    shape = random_shape(vocab_size=30522)
    model = ModelState(shape, random_parameters(shape, num_classes=3), tokenizer)
    known = {"labels": ["a", "b", "c"], "max_length": 16, "temperature": 1.0, **manifest}
    form = Format(QuantizationConfig(method="dynamic_int8"), runtime)
    return serving_artifact(model, form, kind="intent_classifier", manifest=known)


@pytest.fixture(scope="module")
def tokenizer():
    return minilm_tokenizer()


@pytest.mark.parametrize("runtime", ["onnxruntime", "tflite", "tensorflow"])
def test_a_message_alone_and_among_others(tokenizer, runtime):
    artifact = artifact_of(tokenizer, runtime=runtime)
    logits, features = served_outputs(artifact, TEXTS, name="test")
    assert logits.shape == (70, 3) and features.shape == (70, 32)
    engine, encode = open_engine(artifact), encoder_of(artifact)
    for place, text in enumerate(TEXTS):
        alone = run_message(engine, encode(text))
        assert np.array_equal(logits[place], alone[0]) and np.array_equal(features[place], alone[1])


def test_a_model_that_gives_no_features(tokenizer):
    """Artifacts of format version 2, including teachers, output logits alone."""
    artifact = artifact_of(tokenizer)
    artifact.manifest["outputs"] = ["logits"]
    logits, features = served_outputs(artifact, TEXTS[:2], name="test")
    assert logits.shape == (2, 3) and features is None


def test_only_what_is_wanted_is_kept(tokenizer, monkeypatch):
    rows = []

    def on_one_core(serve, lengths, *, name):
        rows.extend(map(serve, range(len(lengths))))
        return rows

    monkeypatch.setattr(served_outputs_module, "on_all_cores", on_one_core)
    found = outputs_of_messages(artifact_of(tokenizer), TEXTS[:1], ("logits", "response_logits"), name="test")
    assert set(rows[0]) == set(found) == {"logits"}


def test_split_points_of_words_are_those_of_the_model(tokenizer):
    entities = {**TagScheme(()).to_dict(), "cuts": {"hello": [3]}}
    plain, split = (encoder_of(artifact_of(tokenizer, **more)) for more in ({}, {"entities": entities}))
    assert len(split("hello there")) > len(plain("hello there"))
