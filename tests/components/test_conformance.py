"""What every component of this package guarantees to Rasa, its users and their bots."""

import importlib.metadata
import json
import shutil
from pathlib import Path

import pytest
from component_harness import (
    CASES,
    CONTEXT,
    MESSAGES,
    RESOURCE,
    WORDS,
    create,
    load,
    make_storage,
    needs_words,
    predict,
    predict_elsewhere,
    weights_of,
    with_weights,
)
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.validation import validate
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

import rasa_compressed_bert
from rasa_compressed_bert.components import config_io
from rasa_compressed_bert.models.head_layer import LAYERS, HeadLayer

PACKAGE = Path(rasa_compressed_bert.__file__).parent


def test_is_registered_under_the_name_that_a_config_says(case):
    name = f"rasa_compressed_bert.{case.component.__name__}"
    registered = DefaultV1Recipe._from_registry(name)  # how the recipe resolves a name in config.yml
    assert registered.clazz is case.component
    assert registered.is_trainable


def test_graph_accepts_it(case):
    """Rasa's own validation of the training and the prediction graph: annotations, inputs, required packages."""
    pipeline = [{"name": f"rasa_compressed_bert.{case.component.__name__}", **case.config}]
    if needs_words(case.component):
        pipeline.insert(0, {"name": "WhitespaceTokenizer"})
    config = {"pipeline": pipeline, "policies": []}
    for is_finetuning in (False, True):
        cli = {"finetuning_epoch_fraction": 0.5, "num_threads": 2}
        validate(DefaultV1Recipe().graph_config_for_recipe(config, cli, is_finetuning=is_finetuning))


def test_required_packages_are_installed_under_these_names(case):
    for package in case.component.required_packages():
        importlib.import_module(package)
        assert importlib.metadata.version(package)


def test_default_config_is_accepted_as_it_is(case, storage):
    config = case.component.get_default_config()
    case.component.create(config, storage, RESOURCE, CONTEXT)
    assert case.component.fingerprint_addon(config)


def test_default_config_is_json_and_sections_may_be_null(case):
    """Rasa hashes it, and would merge a default section that is a map into the user's, but only one level deep."""
    config = case.component.get_default_config()
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    assert config["quantization"] is None
    assert not any(isinstance(value, dict) for value in config.values())


def calls(component, storage):
    """The functions that take a configuration from Rasa."""
    return [
        lambda config: component.fingerprint_addon({**component.get_default_config(), **config}),
        lambda config: create(component, config, storage),
        lambda config: load(component, config, storage),
    ]


def test_unknown_option_is_rejected_with_a_suggestion(case, storage):
    for call in calls(case.component, storage):
        with pytest.raises(InvalidConfigException, match="max_lenght: unknown option.*did you mean 'max_length'"):
            call({"max_lenght": 64})


def test_all_mistakes_are_reported_together(case, storage):
    mistakes = {
        "max_length": 0,
        "num_threads": "many",
        "quantisation": {},
        "quantization": {"per_chanel": True, "encoder_bits": 9},
    }
    for call in calls(case.component, storage):
        with pytest.raises(InvalidConfigException) as caught:
            call(mistakes)
        text = str(caught.value)
        for part in ("max_length: 0", "num_threads: 'many'", "quantisation: unknown", "did you mean 'per_channel'"):
            assert part in text
        assert "quantization.encoder_bits: 9 is not an integer in [1, 8]" in text


def test_fingerprint_is_stable(case):
    assert case.component.fingerprint_addon(case.config) == case.component.fingerprint_addon(dict(case.config))


def test_nothing_is_restored_from_the_cache_under_finetune(case):
    """Rasa's key of the cache does not depend on the model that is trained further."""
    if "epochs" not in case.component.get_default_config():
        pytest.skip("Rasa does not tell components without epochs")
    config = {**case.config, "finetuning_epoch_fraction": 1.0}
    assert len({case.component.fingerprint_addon(config) for _ in range(2)}) == 2


def test_fingerprint_follows_the_content_of_the_weights(case, tmp_path):
    copy = tmp_path / "weights"
    shutil.copytree(weights_of(case.config), copy)
    config = with_weights(case.config, copy)
    before = case.component.fingerprint_addon(config)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert case.component.fingerprint_addon(config) != before


def test_fingerprint_follows_the_source_of_the_package(case, tmp_path, monkeypatch):
    """Rasa's own key covers the component's class alone; a change to any training module must invalidate the cache."""
    copy = tmp_path / "rasa_compressed_bert"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = case.component.fingerprint_addon(case.config)
    monkeypatch.setattr(config_io, "__file__", str(copy / "components" / "config_io.py"))
    try:
        config_io._source_digest.cache_clear()
        assert case.component.fingerprint_addon(case.config) == before
        for module, renews in (("commands/inspect.py", False), ("errors.py", True)):
            with (copy / module).open("a") as file:
                file.write("# changed\n")
            config_io._source_digest.cache_clear()
            assert (case.component.fingerprint_addon(case.config) != before) == renews, module
    finally:
        config_io._source_digest.cache_clear()


def test_fingerprint_follows_the_heads_that_are_registered(case):
    """Otherwise a model trained before a head was registered would be restored from the cache, without that head."""
    before, layer = case.component.fingerprint_addon(case.config), HeadLayer("tone", output="tone_logits")
    LAYERS.append(layer)
    try:
        assert case.component.fingerprint_addon(case.config) != before
    finally:
        LAYERS.remove(layer)


def test_fingerprint_of_what_was_restored_from_the_cache(case):
    """Rasa passes the configuration of its `PrecomputedValueProvider`; refusing it would fail every second training."""
    assert case.component.fingerprint_addon({"output": RESOURCE}) is None


def test_output_is_no_option(case):
    with pytest.raises(InvalidConfigException, match="output: unknown option"):
        case.component.fingerprint_addon({"output": "a file"})


def test_loading_again_gives_the_same_predictions(trained):
    again = load(trained.case.component, trained.case.config, trained.storage)
    assert predict(again, MESSAGES) == predict(trained.component, MESSAGES)


def test_a_moved_folder_gives_the_same_predictions(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "moved")
    moved = load(trained.case.component, trained.case.config, make_storage(tmp_path / "moved"))
    assert predict(moved, MESSAGES) == predict(trained.component, MESSAGES)


@pytest.mark.slow
def test_another_process_gives_the_same_predictions(case_of, trained_of, tmp_path):
    """It has no pretrained weights: the models are self-contained."""
    every = [trained_of(case_of(name)) for name in CASES]
    stored = [
        (
            trained.case.component,
            with_weights(trained.case.config, tmp_path / "gone"),
            shutil.copytree(trained.folder, tmp_path / trained.case.name),
        )
        for trained in every
    ]
    for trained, said in zip(every, predict_elsewhere(stored, MESSAGES)):
        assert said == json.loads(json.dumps(predict(trained.component, MESSAGES))), trained.case.name


def test_process_returns_its_messages_and_leaves_the_rest_of_them_alone(trained):
    messages = [Message({TEXT: "hello", "metadata": {"a": 1}}), Message({"metadata": {"b": 2}}), Message({TEXT: ""})]
    if needs_words(trained.case.component):
        WORDS.process(messages)
    returned = trained.component.process(messages)
    assert [id(message) for message in returned] == [id(message) for message in messages]
    assert messages[0].get(TEXT) == "hello"
    assert [message.get("metadata") for message in messages] == [{"a": 1}, {"b": 2}, None]
    assert trained.component.process([]) == []


def test_a_prediction_does_not_depend_on_the_other_messages(trained):
    together = predict(trained.component, MESSAGES)
    assert together == [predict(trained.component, [text])[0] for text in MESSAGES]
    assert together == predict(trained.component, MESSAGES)


@pytest.mark.slow
def test_training_leaves_the_training_data_alone_and_returns_its_own_resource(quick, data, storage):
    before = data.fingerprint()
    assert create(quick.component, quick.config, storage).train(data) == RESOURCE
    assert data.fingerprint() == before
