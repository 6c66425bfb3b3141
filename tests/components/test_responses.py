"""Responses of retrieval intents: what Rasa's `utter_faq`, reports and selectors read from a message."""

import datetime
import json
from types import SimpleNamespace

import pytest
from component_harness import (
    BERT,
    CLASSIFIERS,
    EXAMPLES,
    RESOURCE,
    load,
    make_storage,
    predict,
    train,
    training_data,
    with_weights,
)
from rasa.core.actions.action import ActionRetrieveResponse
from rasa.core.test import _get_full_retrieval_intent
from rasa.engine.graph import ExecutionContext, GraphSchema, SchemaNode
from rasa.nlu.selectors.response_selector import ResponseSelector
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

from rasa_compressed_bert import DistilledIntentClassifier, JointBertClassifier, PrunedBertIntentClassifier
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.components.response_io import TEMPLATES, ResponseWriter, warn_of_responses, with_templates
from rasa_compressed_bert.runtime.message_predictor import Prediction

FAQ = {
    "greet": EXAMPLES["greet"],
    "faq/weather": EXAMPLES["weather"],
    "faq/music": EXAMPLES["music"],
    "chitchat/food": EXAMPLES["food"],
}
RESPONSES = {
    "utter_faq/weather": [{"text": "It is sunny."}, {"text": "Sunny.", "buttons": [{"title": "ok", "payload": "/ok"}]}],
    "utter_faq/music": [{"text": "La la la."}],
    "utter_chitchat/food": [{"text": "Bon appetit."}],
    "utter_other": [{"text": "not one of a retrieval intent"}],
}
SELECTING = [name for name in CLASSIFIERS if "spacy" not in name]


def faq_data(examples=FAQ, responses=RESPONSES):
    data = training_data(examples)
    data.responses = responses
    return data


def selector(message):
    return message["response_selector"]


def train_in(folder, case, data, **options):
    return train(case.component, {**case.config, **options}, data, make_storage(folder))


@pytest.fixture(scope="module")
def selecting(case, tmp_path_factory, cache_folder):
    folder = tmp_path_factory.mktemp("responses")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_CACHE_DIRECTORY", str(cache_folder))
        component = train_in(folder, case, faq_data())
    return SimpleNamespace(component=component, case=case, storage=make_storage(folder))


@pytest.mark.slow
@pytest.mark.parametrize("case", SELECTING, indirect=True)
class TestEveryComponent:
    def test_messages_get_what_rasas_selector_writes(self, selecting):
        (message,) = predict(selecting.component, ["turn the music off"])
        found = json.loads(json.dumps(selector(message)))
        assert found["all_retrieval_intents"] == ["chitchat", "faq"]
        assert set(found) == {"all_retrieval_intents", "chitchat", "faq", "default"}
        response = found["faq"]["response"]
        assert set(response) == {"responses", "confidence", "intent_response_key", "utter_action"}
        assert response["intent_response_key"] == "faq/music" and response["utter_action"] == "utter_faq/music"
        assert response["responses"] == RESPONSES["utter_faq/music"]
        ranking = found["faq"]["ranking"]
        assert [entry["intent_response_key"] for entry in ranking] == ["faq/music", "faq/weather"]
        assert all(set(entry) == {"confidence", "intent_response_key"} for entry in ranking)
        assert sum(entry["confidence"] for entry in ranking) == pytest.approx(1.0)
        assert ranking[0]["confidence"] == response["confidence"] > 0.5
        assert found["chitchat"]["response"]["confidence"] == 1.0  # the only one of its intent
        everything = found["default"]["ranking"]
        assert {entry["intent_response_key"] for entry in everything} == {"faq/music", "faq/weather", "chitchat/food"}
        assert sum(entry["confidence"] for entry in everything) == pytest.approx(1.0)

    def test_learns_its_tiny_data(self, selecting):
        pairs = [(text, name) for name in ("faq/weather", "faq/music") for text in FAQ[name]]
        messages = predict(selecting.component, [text for text, _ in pairs])
        names = [selector(message)["faq"]["response"]["intent_response_key"] for message in messages]
        assert sum(name == right for name, (_, right) in zip(names, pairs)) >= 0.8 * len(pairs)
        assert sum(message["intent"]["name"] == "faq" for message in messages) >= 0.7 * len(pairs)

    def test_loaded_again_it_selects_the_same(self, selecting):
        again = load(selecting.case.component, selecting.case.config, selecting.storage)
        one, other = (predict(component, ["play it"]) for component in (selecting.component, again))
        assert selector(one[0]) == selector(other[0])

    def test_switched_off_when_served(self, selecting):
        config = {**selecting.case.config, "response_selection": False}
        assert "response_selector" not in predict(load(selecting.case.component, config, selecting.storage), ["hi"])[0]

    def test_nothing_to_read_selects_nothing(self, selecting):
        (message,) = predict(selecting.component, [""])
        assert selector(message) == {"all_retrieval_intents": ["chitchat", "faq"]}

    def test_ranking_length(self, selecting):
        config = {**selecting.case.config, "ranking_length": 1}
        (message,) = predict(load(selecting.case.component, config, selecting.storage), ["hi"])
        assert [len(selector(message)[name]["ranking"]) for name in ("faq", "chitchat", "default")] == [1, 1, 1]


def writer(**options):
    labels = ["chitchat/food", "faq/music", "faq/weather"]
    return ResponseWriter(labels, RESPONSES, **{"left_out": (), "ranking_length": 10, **options})


def prediction(faq=0.6, chitchat=0.2):
    intents = [("faq", faq), ("greet", 0.2), ("chitchat", chitchat)]
    ranking = {"faq": [("faq/music", 0.75), ("faq/weather", 0.25)], "chitchat": [("chitchat/food", 1.0)]}
    return Prediction({"intents": intents, "responses": ranking})


def written(message=None, **options):
    message = message or Message({TEXT: "hello"})
    writer(**options).write(message, prediction())
    return message.get("response_selector")


def test_the_default_weighs_retrieval_intents_by_their_confidences():
    entries = written()["default"]["ranking"]
    found = {entry["intent_response_key"]: entry["confidence"] for entry in entries}
    assert found == pytest.approx({"faq/music": 0.75 * 0.75, "chitchat/food": 0.25, "faq/weather": 0.75 * 0.25})
    message = Message({TEXT: "hello"})
    writer().write(message, prediction(faq=0.0, chitchat=0.0))  # a threshold may make all confidences 0
    assert message.get("response_selector")["default"]["ranking"][0]["confidence"] == 0.5


def test_entries_of_rasas_selectors_stay():
    theirs = {"response": {"utter_action": "utter_faq/theirs"}, "ranking": []}
    before = {"all_retrieval_intents": ["faq", "other"], "faq": theirs, "default": theirs}
    found = written(Message({TEXT: "hello", "response_selector": before}))
    assert found["faq"] == found["default"] == theirs
    assert found["chitchat"]["response"]["utter_action"] == "utter_chitchat/food"
    assert found["all_retrieval_intents"] == ["faq", "other", "chitchat"]


def test_what_rasas_selectors_answer_is_left_to_them():
    assert set(written(left_out=["faq"])) == {"all_retrieval_intents", "chitchat"}
    assert set(written(left_out=["faq", "chitchat"])) == {"all_retrieval_intents"}
    assert "default" in written(left_out=["of no message"])


@pytest.mark.parametrize("intent, response", [("faq", "faq/theirs"), ("chitchat", "chitchat/food")])
def test_test_stories_are_compared_with_the_component_that_selects(intent, response):
    """`rasa test core` prefers the entry `default`, if there is one, to that of the intent."""
    theirs = {"response": {"intent_response_key": "faq/theirs"}}
    before = {"all_retrieval_intents": ["chitchat", "faq"], "faq": theirs}
    for found in (  # Rasa's selector comes before ours, or after it
        written(Message({TEXT: "hello", "response_selector": before}), left_out=["faq"]),
        {**written(left_out=["faq"]), **before},
    ):
        assert _get_full_retrieval_intent({"intent": {"name": intent}, "response_selector": found}) == response


def test_a_response_without_a_text_is_its_name():
    message = Message({TEXT: "hello"})
    ResponseWriter(["faq/music"], {}, left_out=(), ranking_length=10).write(
        message, Prediction({"intents": [("faq", 1.0)], "responses": {"faq": [("faq/music", 1.0)]}})
    )
    assert message.get("response_selector")["faq"]["response"]["responses"] == [{"text": "faq/music"}]


@pytest.mark.parametrize("intent, action", [("faq", "utter_faq/music"), ("chitchat", "utter_chitchat/food")])
def test_rasas_action_finds_the_response(intent, action):
    tracker = DialogueStateTracker("x", [])
    tracker.latest_message = SimpleNamespace(parse_data={"response_selector": written()})
    assert ActionRetrieveResponse(f"utter_{intent}").get_full_retrieval_name(tracker) == action


QUICK = {**BERT, "epochs": 1, "batch_size": 32, "validation_split": 0.0, "pruning": {"method": "none"}}


@pytest.fixture
def quick_training(tmp_path, tiny_weights, caplog, without_graphs):
    """Trains a component in two steps; returns it and the warnings."""

    def make(data, component=PrunedBertIntentClassifier, **options):
        config = with_weights({**QUICK, **options}, tiny_weights)
        caplog.clear()
        trained = train(component, config, data, make_storage(tmp_path))
        return trained, " ".join(record.getMessage() for record in caplog.records if record.levelname == "WARNING")

    return make


@pytest.mark.slow
def test_without_retrieval_intents_nothing_is_stored(quick_training):
    component, warned = quick_training(training_data())
    (message,) = predict(component, ["hello"])
    assert "response_selector" not in message and "response" not in warned


@pytest.mark.slow
def test_a_retrieval_intent_with_one_key(quick_training):
    component, warned = quick_training(
        faq_data({"greet": FAQ["greet"], "faq/music": FAQ["faq/music"]}), JointBertClassifier
    )
    (message,) = predict(component, ["hello"])
    assert selector(message)["faq"]["ranking"] == [{"confidence": 1.0, "intent_response_key": "faq/music"}]
    assert "response" not in warned


def test_keys_with_slashes_are_refused_by_rasa():
    with pytest.raises(RasaException, match="'faq/a/b' is invalid"):
        training_data({"faq/a/b": ["hello"]})


@pytest.mark.slow
def test_responses_that_are_missing_are_named(quick_training):
    _, warned = quick_training(faq_data(responses={"utter_faq/music": RESPONSES["utter_faq/music"]}))
    assert "There are no responses for chitchat/food, faq/weather" in warned
    assert "Add utter_chitchat/food to the responses of the domain, which `rasa train nlu` reads only with" in warned


@pytest.mark.slow
def test_a_label_that_is_a_retrieval_intent_and_a_plain_one(quick_training):
    component, warned = quick_training(faq_data({**FAQ, "faq": ["call the bank", "call a bank"]}))
    assert "Some messages of the retrieval intents faq have no response key" in warned
    assert selector(predict(component, ["call the bank"])[0])["faq"]["response"]["intent_response_key"] in FAQ


@pytest.mark.slow
def test_a_message_with_two_responses_is_named(quick_training):
    _, warned = quick_training(faq_data({**FAQ, "faq/weather": [*FAQ["faq/weather"], "play music"]}))
    assert "several intents" in warned and "'play music' (faq/music, faq/weather)" in warned


@pytest.mark.slow
def test_without_response_selection_a_missing_selector_is_warned_of(quick_training):
    component, warned = quick_training(faq_data(), response_selection=False)
    assert "response_selector" not in predict(component, ["hello"])[0]
    assert "no component selects their responses" in warned and "chitchat, faq" in warned


@pytest.mark.slow
def test_finetuning_refuses_responses_that_are_new(quick_training):
    component, _ = quick_training(faq_data())
    component.train(faq_data())  # the same again
    more = {**FAQ, "faq/bank": ["call the bank", "call a bank", "my bank card"]}
    with pytest.raises(RasaException, match=r"The responses are not .* New: \['faq/bank'\]; removed: none"):
        component.train(faq_data(more))


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_a_student_of_spacy_says_that_it_cannot(tmp_path, tiny_weights, caplog):
    options = {**CLASSIFIERS["DistilledIntentClassifier spacy"], "epochs": 1, "validation_split": 0.0}
    config = with_weights({**options, "teacher": {"epochs": 1}}, tiny_weights)
    component = train(DistilledIntentClassifier, config, faq_data(), make_storage(tmp_path))
    assert "response_selector" not in predict(component, ["hello"])[0]
    assert "no component selects their responses. Set response_selection: true" in caplog.text
    assert "needs another student than spacy_textcat" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("retrieval_intent, kept", [("faq", {"chitchat"}), (None, None)])
def test_selectors_of_rasas_own_in_the_pipeline(quick_training, tmp_path, tiny_weights, caplog, retrieval_intent, kept):
    quick_training(faq_data())
    node = SchemaNode({}, ResponseSelector, "load", "process", {"retrieval_intent": retrieval_intent})
    context = ExecutionContext(GraphSchema({"selector": node}), node_name="component")
    config = with_weights({**PrunedBertIntentClassifier.get_default_config(), **QUICK}, tiny_weights)
    component = PrunedBertIntentClassifier.load(config, make_storage(tmp_path), RESOURCE, context)
    (message,) = predict(component, ["hello"])
    if kept is None:
        assert "response_selector" not in message and "leaves responses to it" in caplog.text
    else:
        assert set(selector(message)) == {"all_retrieval_intents", *kept}


@pytest.mark.parametrize(
    "other, options, warned",
    [
        (JointBertClassifier, {}, False),
        (JointBertClassifier, {"response_selection": False}, True),
        (DistilledIntentClassifier, {}, True),  # its teacher may select none
        (ResponseSelector, {}, False),
        (None, {}, True),
    ],
)
def test_what_another_component_of_the_pipeline_selects_is_not_missing(other, options, warned, caplog):
    config = {"response_selection": False}
    nodes = {"own": SchemaNode({}, PrunedBertIntentClassifier, "create", "train", config)}
    if other:
        nodes["other"] = SchemaNode({}, other, "create", "train", options)
    warn_of_responses(faq_data(), {}, ExecutionContext(GraphSchema(nodes), node_name="own"))
    assert ("no component selects their responses" in caplog.text) == warned


def test_a_response_with_values_that_json_lacks_is_stored():
    """It was an error, after the training."""
    day, never = datetime.date(2026, 1, 1), float("inf")
    known = {"utter_faq/music": [{"custom": {day: "closed", 1: day, "until": never, "at": (1.5, None, True)}}]}
    trained = Artifact({"responses": {"labels": ["faq/music", "faq/weather"]}}, {})
    stored = with_templates(trained, SimpleNamespace(responses=known)).manifest[TEMPLATES]
    custom = {"2026-01-01": "closed", "1": "2026-01-01", "until": "inf", "at": [1.5, None, True]}
    assert stored == {"utter_faq/music": [{"custom": custom}]}
