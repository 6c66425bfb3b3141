"""Training of a featurizer: every text is encoded once, and served features equal those that others trained on."""

import itertools
import json
import logging
import re
import sys
import time

import numpy as np
import pytest
from component_harness import (
    FEATURIZERS,
    MESSAGES,
    RESOURCE,
    WORDS,
    create,
    load,
    make_storage,
    predict,
    train,
    training_data,
    with_weights,
)
from rasa.nlu.constants import TOKENS_NAMES
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import ACTION_TEXT, RESPONSE, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.errors import DataError, WeightsError
from rasa_compressed_bert.tasks import featurization

pytestmark = pytest.mark.parametrize("case", FEATURIZERS, indirect=True)

METHODS = {
    "none": {"method": "none"},
    "per tensor": {"per_channel": False},
    "static": {"method": "static_int8"},
    "kmeans": {"method": "kmeans", "encoder_bits": 4, "embedding_bits": 6},
}


def cosines(found, expected):
    """Cosine similarities between the rows of two matrices."""
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return np.sum(found * expected, axis=1) / norms


def features(data):
    """The word features and the sentence features of each message."""
    return [tuple(part.features for part in message.get_dense_features(TEXT)) for message in data.training_examples]


def test_messages_of_other_intents_with_the_same_wordpieces_are_named(case, storage, caplog):
    data = TrainingData([Message.build(text, intent) for text, intent in (("ma", "a"), ("m\u00e1", "b"), ("ma", "a"))])
    WORDS.process_training_data(data)
    train(case.component, case.config, data, storage)
    assert "2 have the same wordpieces as a message of another intent" in caplog.text


def test_words_that_the_vocabulary_does_not_know_are_named(case, storage, caplog):
    data = TrainingData(
        [Message.build(text, "up") for text in ("\u0c05\u0c35\u0c41", "hello \u0c15\u0c3e\u0c26\u0c41", "hello")]
    )
    WORDS.process_training_data(data)
    train(case.component, case.config, data, storage)
    (said,) = [record.getMessage() for record in caplog.records if "vocabulary" in record.getMessage()]
    assert "2 have words that it does not know: '\u0c05\u0c35\u0c41'; 'hello \u0c15\u0c3e\u0c26\u0c41'. " in said


def test_training_features_are_those_that_are_served(trained, data):
    """Messages are featurized one at a time: in a batch they would share the scale of 8-bit activations."""
    assert trained.component.process_training_data(data) is data
    served = training_data(words=True)
    trained.component.process(served.training_examples)
    for found, expected in zip(features(data), features(served)):
        assert [part.shape for part in found] == [part.shape for part in expected]
        for one, other in zip(found, expected):
            assert one.dtype == np.float32 and np.array_equal(one, other)


def test_training_features_in_floats_are_those_that_are_served(case, data, storage):
    component = train(case.component, {**case.config, "quantization": METHODS["none"]}, data, storage)
    component.process_training_data(data)
    served = training_data(words=True)
    component.process(served.training_examples)
    for found, expected in zip(features(data), features(served)):
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_many_messages_of_many_lengths_stay_in_their_order(trained):
    """With several batches, features belong to their messages, whichever batch is ready first."""
    words = ["hot", "cold", "rain", "sun", "pizza", "hothot", "\u200b"]
    texts = [" ".join(words) for words in itertools.product(words, repeat=3)] + ["play " * n for n in range(1, 40)]
    data = WORDS.process_training_data(TrainingData([Message({TEXT: text}) for text in texts]))
    trained.component.process_training_data(data)
    for index in range(0, len(texts), 7):
        message = Message({TEXT: texts[index], TOKENS_NAMES[TEXT]: data.training_examples[index].get("text_tokens")})
        trained.component.process([message])
        for found, expected in zip(features(data)[index], features(TrainingData([message]))[0]):
            assert found.shape == expected.shape
            present = expected.any(axis=1)
            assert cosines(found[present], expected[present]).min() > 0.99
            assert not found[~present].any()


def test_repeated_text_is_encoded_once_and_its_features_are_shared(trained, monkeypatch):
    texts = ["oh it is hot", "hello", "oh it is hot", "oh  it is hot", "hello"]
    messages = [Message({TEXT: text, RESPONSE: "hello", ACTION_TEXT: "hello", "n": n}) for n, text in enumerate(texts)]
    data = WORDS.process_training_data(TrainingData(messages))
    seen = []
    run = trained.component._featurizer._engine.run
    monkeypatch.setattr(
        trained.component._featurizer._engine, "run", lambda ids, mask: seen.extend(ids.tolist()) or run(ids, mask)
    )
    trained.component.process_training_data(data)
    assert len(seen) == 2
    arrays = [[part.features for part in message.features] for message in messages]
    assert [len(parts) for parts in arrays] == [6] * 5  # word and sentence features of three texts
    for index in (2, 3):
        assert arrays[index][0] is arrays[0][0] and arrays[index][1] is arrays[0][1]
    hello = arrays[1]
    assert hello[0] is not arrays[0][0]
    for words, sentence in (parts[at : at + 2] for parts in arrays for at in (2, 4)):
        assert words is hello[0] and sentence is hello[1]


def test_progress_is_shown_on_a_terminal(trained, data, capsys, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    trained.component.process_training_data(data)
    assert re.search(r"featurize: +100 %", capsys.readouterr().err)


def test_interruption_does_not_wait_for_all_other_messages(trained, monkeypatch):
    data = training_data({"a": [f"hot {'it ' * (number % 25)}{number}" for number in range(2_000)]}, words=True)
    begun = []

    def stop(words):
        begun.append(words)
        time.sleep(0.1)  # gives the process time to notice, also on a busy machine
        raise KeyboardInterrupt

    monkeypatch.setattr(trained.component._featurizer, "features", stop)
    with pytest.raises(KeyboardInterrupt):
        trained.component.process_training_data(data)
    assert len(begun) < 20


def test_no_messages(case, storage):
    component = train(case.component, case.config, TrainingData(), storage)
    data = TrainingData()
    assert component.process_training_data(data) is data and not data.training_examples
    assert predict(component, ["oh it is hot"])[0]["features"]
    assert component.process([]) == []


def test_messages_without_text_are_left_alone(trained):
    data = TrainingData([Message({"intent": "greet"}), Message({TEXT: ""}), Message({"action_name": "utter_greet"})])
    trained.component.process_training_data(data)
    assert [message.features for message in data.training_examples] == [[], [], []]


def test_nothing_to_calibrate_on_is_one_clear_sentence(case, storage):
    config = {**case.config, "quantization": METHODS["static"]}
    with pytest.raises(RasaException, match="static_int8 needs messages to calibrate on, and there are none") as caught:
        create(case.component, config, storage).train(TrainingData())
    assert isinstance(caught.value.__cause__, DataError)
    assert not list(storage._storage_path.rglob("manifest.json"))


def test_cut_messages_are_counted_in_one_warning(case, storage, caplog):
    data = training_data({"greet": ["hello", "hello " * 100, "hi " * 200, "hi " * 200]}, words=True)
    with caplog.at_level(logging.WARNING):
        train(case.component, {**case.config, "vocabulary": "trim"}, data, storage).process_training_data(data)
    warnings = [record.getMessage() for record in caplog.records if "max_length" in record.getMessage()]
    assert len(warnings) == 1
    assert "2 of 3 messages are longer than max_length: 32 wordpieces; the model does not see the rest" in warnings[0]


@pytest.mark.parametrize("name", METHODS)
def test_every_format_gives_features_near_those_in_floats(case, data, storage, tmp_path, name):
    exact = train(
        case.component, {**case.config, "quantization": METHODS["none"]}, data, make_storage(tmp_path / "exact")
    )
    component = train(case.component, {**case.config, "quantization": METHODS[name]}, data, storage)
    least = {"none": 1 - 1e-6, "kmeans": 0.9}.get(name, 0.995)
    for found, expected in zip(predict(component, MESSAGES), predict(exact, MESSAGES)):
        for one, other in zip(found["features"], expected["features"]):
            one, other = (np.array(part["values"]) for part in (one, other))
            present = other.any(axis=1)
            assert not one[~present].any()
            assert (cosines(one[present], other[present]) > least).all()


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tflite", "tensorflow"])
def test_every_runtime_gives_the_same_features(case, trained, data, storage, runtime):
    component = train(case.component, {**case.config, "runtime": runtime}, data, storage)
    component.process_training_data(data)
    for found, expected in zip(predict(component, MESSAGES), predict(trained.component, MESSAGES)):
        for one, other in zip(found["features"], expected["features"]):
            one, other = (np.array(part["values"]) for part in (one, other))
            present = other.any(axis=1)
            assert one.shape == other.shape and not one[~present].any()
            assert (cosines(one[present], other[present]) > 0.99).all()


def test_trimmed_vocabulary_writes_every_text_and_is_smaller(case, trained, data, storage):
    config = {**case.config, "vocabulary": "trim", "vocabulary_size": 100}
    component = train(case.component, config, data, storage)
    assert len(contents(storage)["tokenizer.json"]) < len(contents(trained.storage)["tokenizer.json"])
    texts = ["oh it is hot", "goodbye"]  # the second is not a training message
    for found, expected in zip(predict(component, texts), predict(trained.component, texts)):
        shapes = [[np.shape(part["values"]) for part in said["features"]] for said in (found, expected)]
        assert shapes[0] == shapes[1]
        assert np.any(found["features"][0]["values"], axis=1).all()


def test_training_again_gives_the_same_features(case, trained, data, storage, monkeypatch):
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "0")
    again = train(case.component, case.config, data, storage)
    for one, other in zip(predict(again, MESSAGES), predict(trained.component, MESSAGES)):
        for found, expected in zip(one.get("features", ()), other.get("features", ())):
            np.testing.assert_allclose(found["values"], expected["values"], atol=1e-5)


def test_finetuning_leaves_the_features_as_they_are(case, data, storage, monkeypatch, tmp_path):
    """Even if the pretrained weights have been deleted or changed."""
    before = train(case.component, case.config, data, storage)
    files = contents(storage)
    monkeypatch.setattr(featurization, "compress_encoder", lambda *_: pytest.fail("compressed again"))
    config = with_weights(case.config, tmp_path / "gone")
    further = load(case.component, config, storage)
    assert further.train(training_data({"greet": ["other messages than before"]}, words=True)) == RESOURCE
    assert contents(storage) == files
    assert predict(load(case.component, config, storage), MESSAGES) == predict(before, MESSAGES)


def test_finetuning_names_messages_that_the_vocabulary_does_not_know(case, data, storage, caplog):
    """A vocabulary that was trimmed knows less than that of the weights."""
    train(case.component, case.config, data, storage)
    further = training_data({"greet": ["\u0c05\u0c35\u0c41"]}, words=True)
    load(case.component, case.config, storage).train(further)
    assert "1 has words that it does not know: '\u0c05\u0c35\u0c41'" in caplog.text


def contents(storage):
    return {path.name: path.read_bytes() for path in (storage._storage_path / RESOURCE.name).iterdir()}


def test_weights_are_needed_in_training_only(case, data, storage, tmp_path):
    config = with_weights(case.config, tmp_path / "gone")
    with pytest.raises(RasaException, match="does not exist") as caught:
        create(case.component, config, storage).train(data)
    assert isinstance(caught.value.__cause__, WeightsError)
    train(case.component, case.config, data, storage)
    assert json.dumps(predict(load(case.component, config, storage), ["hot"]))
