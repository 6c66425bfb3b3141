"""What Rasa, its users and their bots may expect of every component of this package."""

import json
import shutil
from pathlib import Path

import pytest
from component_harness import (
    CONTEXT,
    EXAMPLES,
    MESSAGES,
    RESOURCE,
    assert_well_formed,
    create,
    load,
    make_storage,
    predict,
    predict_elsewhere,
    rankings,
    train,
    training_data,
)
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.validation import validate
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

import rasa_compressed_bert
from rasa_compressed_bert.components import config_io

PACKAGE = Path(rasa_compressed_bert.__file__).parent


def test_is_registered_under_the_name_that_a_config_says(case):
    name = f"rasa_compressed_bert.{case.component.__name__}"
    registered = DefaultV1Recipe._from_registry(name)  # what the recipe does with a name of config.yml
    assert registered.clazz is case.component
    assert registered.is_trainable


def test_graph_accepts_it(case):
    """Rasa's own validation of the training and the prediction graph: annotations, needs, required packages."""
    config = {"pipeline": [{"name": f"rasa_compressed_bert.{case.component.__name__}", **case.config}], "policies": []}
    validate(DefaultV1Recipe().graph_config_for_recipe(config, {}, is_finetuning=False))


def test_default_config_is_accepted_as_it_is(case, storage):
    config = case.component.get_default_config()
    case.component.create(config, storage, RESOURCE, CONTEXT)
    assert case.component.fingerprint_addon(config)


def test_sections_may_be_null(case, storage):
    create(case.component, {"pruning": None, "distillation": None, "quantization": None}, storage)


def test_options_that_rasa_adds_for_finetuning_are_accepted(case, storage):
    create(case.component, {**case.config, "finetuning_epoch_fraction": 0.5}, storage)


def calls(component, storage):
    """Every way in which a configuration comes in."""
    return [
        lambda config: component.fingerprint_addon({**component.get_default_config(), **config}),
        lambda config: create(component, config, storage),
        lambda config: load(component, config, storage),
    ]


def test_unknown_option_is_rejected_with_a_suggestion(case, storage):
    for call in calls(case.component, storage):
        with pytest.raises(InvalidConfigException, match="epoch: unknown option.*did you mean 'epochs'"):
            call({"epoch": 3})


def test_all_mistakes_are_reported_together(case, storage):
    mistakes = {"epochs": 0, "batch_size": "many", "prunning": {}, "pruning": {"final_sparsty": 0.5}}
    for call in calls(case.component, storage):
        with pytest.raises(InvalidConfigException) as caught:
            call(mistakes)
        text = str(caught.value)
        for part in ("epochs: 0", "batch_size: 'many'", "prunning: unknown", "did you mean 'final_sparsity'"):
            assert part in text


def test_fingerprint_is_stable(case):
    assert case.component.fingerprint_addon(case.config) == case.component.fingerprint_addon(dict(case.config))


def test_fingerprint_follows_the_content_of_the_weights(case, tmp_path):
    copy = tmp_path / "weights"
    shutil.copytree(case.config["model_weights"], copy)
    config = {**case.config, "model_weights": str(copy)}
    before = case.component.fingerprint_addon(config)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert case.component.fingerprint_addon(config) != before


def test_fingerprint_follows_the_source_of_the_package(case, tmp_path, monkeypatch):
    """Rasa's own key holds the component class only: a change in any other module must renew the cache as well."""
    copy = tmp_path / "rasa_compressed_bert"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = case.component.fingerprint_addon(case.config)
    monkeypatch.setattr(config_io, "__file__", str(copy / "components" / "config_io.py"))
    try:
        config_io._source_digest.cache_clear()
        assert case.component.fingerprint_addon(case.config) == before
        with (copy / "errors.py").open("a") as file:
            file.write("# changed\n")
        config_io._source_digest.cache_clear()
        assert case.component.fingerprint_addon(case.config) != before
    finally:
        config_io._source_digest.cache_clear()


def test_fingerprint_of_what_was_restored_from_the_cache(case):
    """Rasa asks with the configuration of its `PrecomputedValueProvider`; refusing it fails every second training."""
    assert case.component.fingerprint_addon({"output": RESOURCE}) is None


def test_output_is_no_option(case):
    with pytest.raises(InvalidConfigException, match="output: unknown option"):
        case.component.fingerprint_addon({"output": "a file"})


def test_predictions_are_well_formed(trained):
    for prediction in predict(trained.component, MESSAGES):
        assert_well_formed(prediction, labels=EXAMPLES)


def test_learns_its_tiny_data(trained):
    """Words decide these intents, so even a random BERT must get most of its own training messages right."""
    pairs = [(text, intent) for intent, texts in EXAMPLES.items() for text in texts]
    predictions = predict(trained.component, [text for text, _ in pairs])
    right = [prediction["intent"]["name"] == intent for prediction, (_, intent) in zip(predictions, pairs)]
    assert sum(right) >= 0.7 * len(pairs)


def test_loading_again_gives_the_same_predictions(trained):
    again = load(trained.case.component, trained.case.config, trained.storage)
    assert predict(again, MESSAGES) == predict(trained.component, MESSAGES)


def test_a_moved_folder_gives_the_same_predictions(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "moved")
    moved = load(trained.case.component, trained.case.config, make_storage(tmp_path / "moved"))
    assert predict(moved, MESSAGES) == predict(trained.component, MESSAGES)


@pytest.mark.slow
def test_another_process_gives_the_same_predictions(trained, tmp_path):
    """And it has no pretrained weights: the model carries all that it needs."""
    shutil.copytree(trained.folder, tmp_path / "moved")
    config = {**trained.case.config, "model_weights": str(tmp_path / "gone")}
    elsewhere = predict_elsewhere(trained.case.component, config, tmp_path / "moved", MESSAGES)
    assert elsewhere == json.loads(json.dumps(predict(trained.component, MESSAGES)))


@pytest.mark.slow
def test_training_again_gives_the_same_model(trained, storage):
    again = train(trained.case.component, trained.case.config, training_data(), storage)
    for one, other in zip(rankings(again, MESSAGES), rankings(trained.component, MESSAGES)):
        assert [name for name, _ in one] == [name for name, _ in other]
        assert [value for _, value in one] == pytest.approx([value for _, value in other], abs=1e-3)


def test_what_rasa_adds_to_the_intent_does_not_reach_the_ranking(trained):
    """Rasa writes the full name of a retrieval intent into `intent`."""
    (prediction,) = predict(trained.component, ["hello"])
    prediction["intent"]["full_retrieval_intent_name"] = "faq/ask_name"
    assert set(prediction["intent_ranking"][0]) == {"name", "confidence"}


@pytest.mark.parametrize("length, listed", [(1, 1), (2, 2), (10, 4), (0, 4)])
def test_ranking_length(trained, length, listed):
    component = load(trained.case.component, {**trained.case.config, "ranking_length": length}, trained.storage)
    whole = rankings(trained.component, MESSAGES[:2])
    assert rankings(component, MESSAGES[:2]) == [ranking[:listed] for ranking in whole]


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", None], ids=repr)
def test_nothing_to_read_is_no_intent(trained, text):
    (prediction,) = predict(trained.component, [text])
    assert prediction["intent"] == {"name": None, "confidence": 0.0}
    assert prediction["intent_ranking"] == []


def test_process_returns_its_messages_and_leaves_the_rest_of_them_alone(trained):
    messages = [Message({TEXT: "hello", "metadata": {"a": 1}}), Message({"metadata": {"b": 2}})]
    returned = trained.component.process(messages)
    assert [id(message) for message in returned] == [id(message) for message in messages]
    assert messages[0].get(TEXT) == "hello"
    assert [message.get("metadata") for message in messages] == [{"a": 1}, {"b": 2}]
    assert trained.component.process([]) == []


def test_a_prediction_does_not_depend_on_the_other_messages(trained):
    together = predict(trained.component, MESSAGES)
    assert together == [predict(trained.component, [text])[0] for text in MESSAGES]
    assert together == predict(trained.component, MESSAGES)


def test_training_leaves_the_training_data_alone(quick, storage):
    data = training_data()
    before = data.fingerprint()
    create(quick.component, quick.config, storage).train(data)
    assert data.fingerprint() == before


def test_training_returns_its_own_resource(quick, storage):
    resource = create(quick.component, quick.config, storage).train(training_data())
    assert resource == RESOURCE
