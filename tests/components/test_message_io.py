"""Annotations of messages: which are learnt, and warnings of the others."""

import re
import time

import pytest
from rasa.nlu.tokenizers.tokenizer import Token
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.components.message_io import entity_examples, words_to_featurize
from rasa_compressed_bert.runtime.word_featurizer import JOINED

TEXT = "order a pizza"
PIZZA = {"start": 8, "end": 13, "entity": "dish"}


def learnt(*entities, copies=1, **options):
    """The learnt annotations of one message, as text, type, role and group."""
    data = TrainingData([Message.build(TEXT, f"food{index}", list(entities)) for index in range(copies)])
    examples = entity_examples(data, extractor="JointBertClassifier", **options)
    assert [example.text for example in examples] == [TEXT] * copies, "the message itself is always learnt"
    return [(TEXT[span.start : span.end], *span[2:]) for span in examples[0].entities]


@pytest.mark.parametrize(
    "entity, problem",
    [
        ({"start": 2, "end": 14, "entity": "x"}, "the entity from 2 to 14 lies outside of its 13 characters"),
        ({"start": -1, "end": 3, "entity": "x"}, "lies outside"),
        ({"start": 5, "end": 2, "entity": "x"}, "lies outside"),
        ({"start": 2, "end": 2, "entity": "x"}, "from 2 to 2 is empty"),
        ({"start": 5, "end": 6, "entity": "x"}, "is empty"),
        ({"start": 0, "end": 5, "role": "from"}, "'order' has no entity type"),
        ({"entity": "x"}, "an entity has no start or no end that is a whole number"),
        ({"start": 0.5, "end": 5, "entity": "x"}, "no start or no end that is a whole number"),
        ({"start": 9, "end": 13, "entity": "x"}, "'izza' overlaps 'pizza'"),
        ({"start": 8, "end": 13, "entity": "dish", "role": "r"}, "'pizza' overlaps 'pizza'"),
    ],
)
def test_a_faulty_annotation_is_named_and_the_others_are_learnt(entity, problem, caplog):
    assert learnt(PIZZA, entity) == [("pizza", "dish", None, None)]
    (record,) = caplog.records
    assert "JointBertClassifier leaves out 1 annotation that cannot be learnt: 'order a pizza': " in record.message
    assert problem in record.message and "None" not in record.message


def test_positions_may_be_whole_numbers_with_a_decimal_point(caplog):
    assert learnt({**PIZZA, "start": float(PIZZA["start"])}) == [("pizza", "dish", None, None)] and not caplog.records


def test_many_faults_are_counted_and_the_first_are_named(caplog):
    learnt({"start": 2, "end": 99, "entity": "x"}, copies=20)
    (record,) = caplog.records
    assert "leaves out 20 annotations" in record.message
    assert record.message.count("from 2 to 99") == 3 and record.message.endswith(" .... Correct the training data.")


def test_very_many_annotations_of_a_message_take_little_time():
    text, count = "ab " * 30_000, 30_000
    entities = [{"start": 3 * place, "end": 3 * place + 2, "entity": "x"} for place in range(count)]
    data = TrainingData([Message.build(text, "many", entities)])
    begun = time.process_time()
    (example,) = entity_examples(data, extractor="JointBertClassifier")
    assert time.process_time() - begun < 4.0  # takes 0.3 s, but 10 s if each is compared with all others
    assert len(example.entities) == count


@pytest.mark.parametrize("extractor", [None, "", "JointBertClassifier"])
def test_annotations_for_any_or_for_this_one_are_learnt(extractor, caplog):
    assert learnt({**PIZZA, "extractor": extractor}) == [("pizza", "dish", None, None)]
    assert not caplog.records


def test_an_extractor_that_is_not_a_name_is_counted_too(caplog):
    """Rasa's JSON format allows any value."""
    others = [{**PIZZA, "extractor": name} for name in (["a"], {"b": 1}, 5, "C")]
    assert learnt(*others) == []
    assert "4 annotations that name an extractor that is not trained in this pipeline: 1 for 5" in caplog.text


@pytest.mark.parametrize(
    "pipeline, named",
    [
        ((), "3 annotations that name an extractor that is not trained in this pipeline: 1 for CRFE.*, 2 for DIETC"),
        (("CRFEntityExtractor",), "2 annotations that name .*: 2 for DIETClassifier. Remove .extractor. from these"),
        (("CRFEntityExtractor", "DIETClassifier"), None),
    ],
)
def test_annotations_for_extractors_that_are_not_there_are_counted(pipeline, named, caplog):
    names = ("DIETClassifier", "DIETClassifier", "CRFEntityExtractor")
    assert learnt(*({**PIZZA, "extractor": name} for name in names), pipeline=pipeline) == []
    assert len(caplog.records) == (named is not None)
    if named:
        (record,) = caplog.records
        assert re.search(named, record.message)


def test_words_without_a_blank_between_them_are_joined():
    message = Message({"text": "我要 披萨!"})
    message.set("text_tokens", [Token("我", 0), Token("要", 1), Token("披萨", 3), Token("!", 5)])
    ((_, attribute, words),) = words_to_featurize([message])
    assert attribute == "text" and words == ["我", f"{JOINED}要", "披萨", f"{JOINED}!"]
