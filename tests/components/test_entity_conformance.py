"""What every component that extracts entities guarantees to Rasa, its users and their bots."""

import json

import pytest
from component_harness import (
    ENTITIES,
    EXAMPLES,
    EXTRACTORS,
    MESSAGES,
    WORDS,
    entities_of,
    load,
    make_storage,
    predict,
    train,
    training_data,
)
from odd_texts import NOTHING_TO_READ, SOMETHING_TO_READ
from rasa.nlu.constants import TOKENS_NAMES
from rasa.nlu.extractors.crf_entity_extractor import CRFEntityExtractor
from rasa.nlu.extractors.entity_synonyms import EntitySynonymMapper
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.components import resource_io

pytestmark = pytest.mark.parametrize("case", EXTRACTORS, indirect=True)
ODD_TEXTS = {**NOTHING_TO_READ, **SOMETHING_TO_READ}
TEXTS = [text for texts in EXAMPLES.values() for text in texts]


def found(component, text):
    """The entities found in a text, as start, end and type."""
    return [(entity["start"], entity["end"], entity["entity"]) for entity in predict(component, [text])[0]["entities"]]


def annotated(text, *entities, intent="a"):
    """A message with entities, each given as a value that occurs in the text and further keys."""
    values = [{"start": text.index(value), "end": text.index(value) + len(value), **keys} for value, keys in entities]
    return Message.build(text, intent, values)


def test_learns_its_tiny_data(trained):
    right = [
        found(trained.component, text)
        == [(entity["start"], entity["end"], entity["entity"]) for entity in entities_of(text)]
        for text in TEXTS
    ]
    assert sum(right) >= 0.85 * len(TEXTS)
    assert sum(map(len, map(entities_of, TEXTS))) == 9, "there is something to find"


def test_entities_are_exactly_those_of_rasa(trained):
    name = trained.case.component.__name__
    entities = [entity for prediction in predict(trained.component, TEXTS) for entity in prediction["entities"]]
    assert entities
    for entity in entities:
        assert list(entity) == ["entity", "start", "end", "confidence_entity", "value", "extractor"]
        assert type(entity["confidence_entity"]) is float and 0.0 <= entity["confidence_entity"] <= 1.0
        assert entity["extractor"] == name and entity["entity"] in ENTITIES.values()
        assert type(entity["start"]) is int and type(entity["end"]) is int
    json.dumps(entities, allow_nan=False)


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", None, "\u200b\u200d"], ids=repr)
def test_nothing_to_read_has_no_entities(trained, text):
    assert predict(trained.component, [text])[0]["entities"] == []


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=list(ODD_TEXTS))
def test_places_are_in_the_text_whatever_it_is(trained, text):
    end = 0
    for entity in predict(trained.component, [text])[0]["entities"]:
        assert end <= entity["start"] < entity["end"] <= len(text)
        assert entity["value"] == text[entity["start"] : entity["end"]]
        end = entity["end"]


def test_what_other_extractors_found_is_kept(trained):
    other = {"entity": "time", "start": 0, "end": 5, "value": "hello", "extractor": "DucklingEntityExtractor"}
    message = Message({TEXT: "order a pizza", "entities": [other]})
    trained.component.process([message])
    assert message.get("entities")[0] == other
    assert all(entity["extractor"] != other["extractor"] for entity in message.get("entities")[1:])


def test_synonyms_are_mapped_behind_it(trained):
    mapper = EntitySynonymMapper({}, None, None, synonyms={"pizza": "PIZZA"})
    message = Message({TEXT: "order a pizza"})
    trained.component.process([message])
    mapper.process([message])
    assert [entity["value"] for entity in message.get("entities")] == ["PIZZA"]
    assert message.get("entities")[0]["processors"] == ["EntitySynonymMapper"]


def test_rasa_test_finds_words_to_compare(trained):
    """`rasa test nlu` compares entities word by word; without a tokenizer in the pipeline we must provide the words."""
    name = TOKENS_NAMES[TEXT]
    alone, behind = Message({TEXT: "order a pizza!"}), Message({TEXT: "order a pizza!"})
    WORDS.process([behind])
    before = behind.get(name)
    trained.component.process([alone, behind])
    assert [(word.text, word.start, word.end) for word in alone.get(name)][2:] == [("pizza", 8, 13), ("!", 13, 14)]
    assert behind.get(name) is before, "another tokenizer's words are kept"
    blank = Message({TEXT: " "})
    trained.component.process([blank])
    assert blank.get(name) is None


@pytest.mark.slow
def test_roles_and_groups(case, storage):
    texts = [f"from {one} to {other}" for one in ("rome", "oslo", "cairo") for other in ("paris", "london")] * 3
    messages = [
        annotated(
            text,
            (text.split()[1], {"entity": "city", "role": "from", "group": "1"}),
            (text.split()[3], {"entity": "city", "role": "to"}),
        )
        for text in texts
    ]
    component = train(case.component, case.config, TrainingData(messages), storage)
    (prediction,) = predict(component, ["from rome to london"])
    one, other = prediction["entities"]
    assert (one["value"], one["entity"], one["role"], one["group"]) == ("rome", "city", "from", "1")
    assert (other["value"], other["entity"], other["role"]) == ("london", "city", "to") and "group" not in other
    assert one["confidence_role"] == one["confidence_group"] == one["confidence_entity"]


def learnt_entities(component):
    """The entry `entities` in the manifest of a component's artifact."""
    return resource_io.load(component._model_storage, component._resource).manifest["entities"]


@pytest.mark.slow
def test_a_list_is_several_entities_unless_the_data_or_the_user_says_otherwise(quick, tmp_path):
    lists = [annotated(f"buy {text} now", (text, {"entity": "fruit"})) for text in ("apple", "pear", "plum")] * 6
    streets = [annotated(f"go {text} now", (text, {"entity": "street"})) for text in ("high street, rome", "oslo")] * 9
    component = train(quick.component, quick.config, TrainingData(lists + streets), make_storage(tmp_path / "1"))
    assert learnt_entities(component)["comma_separated"] == ["fruit"]
    keep = {**quick.config, "split_entities_by_comma": {"fruit": False}}
    component = train(quick.component, keep, TrainingData(lists + streets), make_storage(tmp_path / "2"))
    assert learnt_entities(component)["comma_separated"] == []


@pytest.mark.slow
def test_faulty_annotations_are_named_and_the_rest_is_learnt(quick, storage, caplog):
    data = training_data()
    for start, end in ((6, 99), (2, 2)):
        data.training_examples.append(Message.build("order it", "food", [{"start": start, "end": end, "entity": "x"}]))
    component = train(quick.component, quick.config, data, storage)
    assert f"{quick.component.__name__} leaves out 2 annotations that cannot be learnt: 'order it': " in caplog.text
    assert [label[0] for label in learnt_entities(component)["labels"]] == ["dish", "sound"]


@pytest.mark.slow
def test_words_that_the_vocabulary_does_not_know_are_named(quick, storage, caplog):
    data = training_data()
    data.training_examples += [
        Message.build(text, intent) for text, intent in (("\U0001f44d", "up"), ("\U0001f44e", "no"))
    ]
    train(quick.component, quick.config, data, storage)
    (said,) = [record.getMessage() for record in caplog.records if "vocabulary" in record.getMessage()]
    assert "2 have words that it does not know: '\U0001f44d'; '\U0001f44e'" in said
    assert ("of another intent" in said) == quick.component.options_class.learns_intents


@pytest.mark.slow
def test_annotations_for_another_extractor_are_not_learnt(quick, storage, caplog):
    name = quick.component.__name__
    data = TrainingData(
        [
            annotated(f"a pizza {index}", ("pizza", {"entity": "dish", "extractor": CRFEntityExtractor.__name__}))
            for index in range(4)
        ]
        + [annotated("a song", ("song", {"entity": "sound", "extractor": name}))] * 4
    )
    component = train(quick.component, quick.config, data, storage)
    assert [label[0] for label in learnt_entities(component)["labels"]] == ["sound"]
    assert "is not trained in this pipeline: 4 for CRFEntityExtractor" in caplog.text


@pytest.mark.slow
def test_a_type_seen_once_is_learnt_even_if_it_falls_among_the_validation_examples(quick, storage):
    data = training_data()
    data.training_examples.append(annotated("zzz qqq xxx", ("qqq", {"entity": "rare"}), intent="greet"))
    component = train(quick.component, {**quick.config, "validation_split": 0.5}, data, storage)
    assert [label[0] for label in learnt_entities(component)["labels"]] == ["dish", "rare", "sound"]


@pytest.mark.slow
def test_entities_beyond_max_length_are_counted(quick, storage, caplog):
    data = training_data()
    long = "hello " * 60 + "pizza"
    data.training_examples.append(Message.build(long, "food", entities_of(long)))
    train(quick.component, quick.config, data, storage)
    assert "1 annotated entity is not learnt" in caplog.text and "'pizza' (dish)" in caplog.text


@pytest.mark.slow
def test_entities_inside_words(quick, storage):
    data = TrainingData([annotated("hottubpizza", ("pizza", {"entity": "dish"}), ("hot", {"entity": "heat"}))] * 10)
    component = train(quick.component, {**quick.config, "epochs": 20, "batch_size": 4}, data, storage)
    assert found(component, "hottubpizza") == [(0, 3, "heat"), (6, 11, "dish")]


@pytest.mark.slow
def test_finetuning_with_other_entities_is_refused(quick, storage):
    train(quick.component, quick.config, training_data(), storage)
    data = training_data()
    data.training_examples.append(annotated("zzz qqq", ("qqq", {"entity": "other"}), intent="greet"))
    with pytest.raises(RasaException, match="entities are not those.*New: \\['other'\\].*Train without --finetune"):
        load(quick.component, quick.config, storage).train(data)


@pytest.mark.slow
def test_without_entities_in_the_data_there_are_none(quick, storage):
    data = TrainingData([Message.build(text, "greet") for text in EXAMPLES["greet"]])
    component = train(quick.component, quick.config, data, storage)
    assert all(prediction["entities"] == [] for prediction in predict(component, MESSAGES))
