"""Lookup tables and synonyms in Rasa's training data."""

import os

import pytest
from component_harness import CONTEXT, RESOURCE, make_storage
from rasa.shared.nlu.training_data.formats.rasa_yaml import RasaYAMLReader
from small_archives import small_artifact

from rasa_compressed_bert import BertEntityExtractor
from rasa_compressed_bert.components.config_io import ComponentError
from rasa_compressed_bert.components.known_values import read_known_values, warn_of_unused_lookups
from rasa_compressed_bert.data.known_values import KnownValues
from rasa_compressed_bert.tasks import bert_training

NLU = """
version: "3.1"
nlu:
- intent: order
  examples: |
    - a [pie]{"entity": "dish", "value": "pizza"} please
- lookup: dish
  examples: |
    - risotto
    - lasagne al forno
- synonym: pizza
  examples: |
    - margherita
"""


def test_tables_and_synonyms_are_read():
    assert read_known_values(RasaYAMLReader().reads(NLU)) == KnownValues(
        {"dish": ["risotto", "lasagne al forno"]}, {"pie": "pizza", "margherita": "pizza"}
    )


def test_a_file_has_a_value_in_each_line(tmp_path):
    (tmp_path / "dishes.txt").write_text("\ufeffrisotto\n\n  gnocchi \n", encoding="utf-8")  # as Windows writes it
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = [{"name": "dish", "elements": str(tmp_path / "dishes.txt")}, *data.lookup_tables]
    assert read_known_values(data).lookups == {"dish": ["risotto", "gnocchi", "risotto", "lasagne al forno"]}


@pytest.mark.parametrize("content", ["risotto\n\n  gnocchi \n", "risotto", "\n", "\ufeffa/b\nno. 5\n"])
@pytest.mark.parametrize("in_list", [False, True])
def test_a_file_is_read_after_rasa_has_put_its_text_in_the_place_of_its_path(content, in_list, tmp_path):
    """`rasa train` computes fingerprints of the training data, which changes tables; commands of ours do not."""
    path = tmp_path / "dishes.txt"
    path.write_text(content, encoding="utf-8")
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = [{"name": "dish", "elements": [str(path)] if in_list else str(path)}]
    before = read_known_values(data).lookups
    data.fingerprint()
    assert data.lookup_tables == [{"name": "dish", "elements": content}]
    values = [line.strip() for line in content.lstrip("\ufeff").splitlines() if line.strip()]
    assert read_known_values(data).lookups == before == ({"dish": values} if values else {})


def test_a_file_that_is_missing_is_named(tmp_path):
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = [{"name": "dish", "elements": str(tmp_path / "dishes.txt")}]
    with pytest.raises(ComponentError, match="'dish' cannot be read: .*dishes.txt'. Correct its path.*lookups: false"):
        read_known_values(data)


def test_tables_without_a_name_are_left_out(caplog):
    """Rasa's JSON format does not require one."""
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = [{"elements": ["risotto"]}, *data.lookup_tables]
    assert read_known_values(data).lookups == {"dish": ["risotto", "lasagne al forno"]}
    assert "1 lookup table has no name, and therefore no effect" in caplog.text
    warn_of_unused_lookups(data, [])


def test_a_pipe_is_not_read(tmp_path):
    """Nobody writes into it, so that reading it would never end."""
    os.mkfifo(tmp_path / "dishes.txt")
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = [{"name": "dish", "elements": str(tmp_path / "dishes.txt")}]
    with pytest.raises(ComponentError, match="'dish' cannot be read"):
        read_known_values(data)


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "dishes.txt").write_bytes(b"\xff\xfe\x00")
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = [{"name": "dish", "elements": str(tmp_path / "dishes.txt")}]
    with pytest.raises(ComponentError, match="UTF-8"):
        read_known_values(data)


def test_a_file_without_values_is_warned_of(tmp_path, caplog):
    (tmp_path / "dishes.txt").write_text("\n", encoding="utf-8")
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = [{"name": "dish", "elements": str(tmp_path / "dishes.txt")}]
    assert read_known_values(data).lookups == {}
    assert "without a value: dish" in caplog.text


@pytest.mark.parametrize(
    "values, warned",
    [(["data/dishes.txt"], True), (["dishes.yml"], True), (["a.txt", "b.txt"], False), (["soup no.5"], False)],
)
def test_a_path_in_place_of_the_values_is_warned_of(values, warned, caplog):
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = [{"name": "dish", "elements": values}]
    assert read_known_values(data).lookups == {"dish": values}
    assert (f"path of a file as their only value: {values[0]} (dish). There is no such file" in caplog.text) == warned
    assert bool(caplog.records) == warned


def test_of_contradictory_synonyms_the_last_counts_and_rasa_warns():
    contradictory = NLU + "- synonym: calzone\n  examples: |\n    - margherita\n"
    with pytest.warns(UserWarning, match="inconsistent entity synonyms"):
        data = RasaYAMLReader().reads(contradictory)
    assert read_known_values(data).synonyms["margherita"] == "calzone"


@pytest.mark.parametrize("user", ["RegexEntityExtractor", "RegexFeaturizer"])
def test_tables_that_nothing_uses_are_warned_of(user, caplog):
    data = RasaYAMLReader().reads(NLU)
    warn_of_unused_lookups(data, {"JointBertClassifier", user})
    assert caplog.text == ""
    warn_of_unused_lookups(data, {"JointBertClassifier"})
    assert "lookup tables (dish), but nothing in the pipeline uses them" in caplog.text
    assert "Set lookups: true, or add RegexEntityExtractor or RegexFeaturizer" in caplog.text


def test_without_tables_there_is_nothing_to_use(caplog):
    data = RasaYAMLReader().reads(NLU)
    data.lookup_tables = []
    warn_of_unused_lookups(data, {"JointBertClassifier"})
    assert caplog.text == ""


@pytest.mark.parametrize("lookups, warned", [(True, False), (False, True)])
def test_a_component_that_does_not_learn_the_tables_warns_of_them(lookups, warned, tmp_path, monkeypatch, caplog):
    learnt = []
    monkeypatch.setattr(bert_training, "train_or_finetune", lambda *_, known: learnt.append(known) or small_artifact())
    config = {**BertEntityExtractor.get_default_config(), "lookups": lookups, "epochs": 100}
    component = BertEntityExtractor.create(config, make_storage(tmp_path), RESOURCE, CONTEXT)
    component.train(RasaYAMLReader().reads(NLU))
    assert [bool(known.lookups) for known in learnt] == [lookups]
    assert ("nothing in the pipeline uses them" in caplog.text) == warned
    assert "epochs: 100 is 12 times the default of BertEntityExtractor" in caplog.text
