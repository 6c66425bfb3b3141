import json

import pytest

from rasa_compressed_bert.components.message_io import entity_examples
from rasa_compressed_bert.components.nlu_files import load_messages, load_training_data
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError, DataError
from rasa_compressed_bert.metrics.entities import entity_f1


def write_nlu(path, *lines):
    path.write_text("\n".join(['version: "3.1"', "nlu:", *lines]), encoding="utf-8")
    return path


def test_messages_of_rasa_yaml_without_their_markup(tmp_path):
    path = write_nlu(tmp_path / "nlu.yml", "- intent: a", "  examples: |", "    - play [jazz](music)", "    - stop it")
    assert load_messages(path) == [LabelledMessage("play jazz", "a"), LabelledMessage("stop it", "a")]
    assert load_messages(path, 1) == load_messages(path, 1)
    assert len(load_messages(path, 1)) == 1


def test_entities_of_rasa_yaml_are_kept_where_they_are_asked_for(tmp_path):
    line = '    - fly from [Rome]{"entity": "city", "role": "from"} on [May 1](date)'
    path = write_nlu(tmp_path / "nlu.yml", "- intent: a", "  examples: |", line, "    - stop it")
    rome, date = EntitySpan(9, 13, "city", role="from"), EntitySpan(17, 22, "date")
    assert load_messages(path, entities=True) == [
        LabelledMessage("fly from Rome on May 1", "a", (rome, date)),
        LabelledMessage("stop it", "a"),
    ]


def test_annotations_are_scored_as_they_are_learnt(tmp_path):
    """Without whitespace at their ends: a model that learns them so would find none of them otherwise."""
    lines = ["    - to[ Berlin](city) now", "    - to [Rome ]{'entity': 'city', 'role': ''}", "    - to [Oslo](city)"]
    written = [line.replace("'", '"') for line in lines]
    path = write_nlu(tmp_path / "nlu.yml", "- intent: a", "  examples: |", *written)
    learnt = [
        example.entities for example in entity_examples(load_training_data(path), extractor="BertEntityExtractor")
    ]
    scored = [message.entities for message in load_messages(path, entities=True)]
    assert scored == learnt == [(EntitySpan(3, 9, "city"),), (EntitySpan(3, 7, "city"),), (EntitySpan(3, 7, "city"),)]
    assert entity_f1(scored, learnt) == 1.0


def test_annotations_that_are_not_in_the_text_are_scored_as_missed(tmp_path):
    entity = {"entity": "city", "value": "Rome"}
    spans = [{"start": 3, "end": 70}, {"start": 2, "end": 3}, {"start": -4, "end": 7}, {"start": 3.0, "end": 7.0}]
    examples = [{"text": "to Rome", "intent": "a", "entities": [{**entity, **span}]} for span in spans]
    (tmp_path / "nlu.json").write_text(json.dumps({"rasa_nlu_data": {"common_examples": examples}}), encoding="utf-8")
    found = [message.entities for message in load_messages(tmp_path / "nlu.json", entities=True)]
    assert [span[:2] for (span,) in found] == [(3, 70), (2, 3), (-4, 7), (3, 7)]
    assert entity_f1(found[:3], [[EntitySpan(3, 7, "city")]] * 3) == 0.0


def test_bad_test_data_is_one_clear_error(tmp_path):
    with pytest.raises(CompressedBertError, match="There is no file or folder .* with NLU data"):
        load_messages(tmp_path / "none.yml")
    lookup = write_nlu(tmp_path / "lookup.yml", "- lookup: city", "  examples: |", "    - Rome")
    with pytest.raises(DataError, match="no message with an intent"):
        load_messages(lookup)
    (tmp_path / "broken.yml").write_text("nlu: [", encoding="utf-8")
    with pytest.raises(DataError):
        load_messages(tmp_path / "broken.yml")


NO_NLU_DATA = {
    "number.yml": "5",
    "number.json": "5",
    "deep.yml": "[" * 5000,
    "luis.json": '{"luis_schema_version": "2.1"}',
    "wit.json": '{"utterances": 5}',
    "text.json": '{"rasa_nlu_data": {"common_examples": [{"text": 5, "intent": "a"}]}}',
    "variable.yml": "nlu:\n- intent: ${NO_SUCH_VARIABLE}\n  examples: |\n    - a",
}


@pytest.mark.parametrize("name", NO_NLU_DATA)
def test_what_rasa_fails_to_read_is_one_clear_error(tmp_path, name):
    """Rasa's readers raise all kinds of exceptions; one of them cannot even be printed."""
    (tmp_path / name).write_text(NO_NLU_DATA[name], encoding="utf-8")
    with pytest.raises(DataError, match=name):
        load_messages(tmp_path / name)
