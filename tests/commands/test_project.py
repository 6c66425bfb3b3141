"""What `search` and `package-spacy` read from a config.yml and its training data."""

from types import SimpleNamespace

import pytest
from rasa.shared.utils.io import write_yaml
from small_archives import write_archive

from rasa_compressed_bert.artifact import archives
from rasa_compressed_bert.commands import package_spacy
from rasa_compressed_bert.commands.project import known_values_of, read_project, read_yaml
from rasa_compressed_bert.data.known_values import KnownValues
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.search.evaluation import Evaluator
from rasa_compressed_bert.search.goals import Measured
from rasa_compressed_bert.search.message_task import MessageTask
from rasa_compressed_bert.tasks import bert_training

ORDERS = [f"    - order [{food}](food) {number} times please" for number, food in enumerate(["pizza", "curry"] * 10)]
NLU = [
    *('version: "3.1"', "nlu:", "- intent: order", "  examples: |", *ORDERS),
    *("- lookup: food", "  examples: |", "    - pizza", "    - spicy food"),
    *("- synonym: curry", "  examples: |", "    - hot food"),
]
KNOWN = KnownValues({"food": ["pizza", "spicy food"]}, {"hot food": "curry"})


@pytest.fixture
def files(tmp_path):
    """Writes a config.yml with a component, and NLU data."""

    def write(component, *options, nlu=NLU):
        (tmp_path / "nlu.yml").write_text("\n".join(nlu), encoding="utf-8")
        lines = ["pipeline:", f"- name: rasa_compressed_bert.{component}", *(f"  {line}" for line in options)]
        (tmp_path / "config.yml").write_text("\n".join(lines), encoding="utf-8")
        return tmp_path / "config.yml", tmp_path / "nlu.yml"

    return write


@pytest.mark.parametrize("name", ["AnswerNaturalLanguageGenerator", "config", "__version__", "PrunedBert"])
def test_what_is_not_a_component_is_named(files, name):
    with pytest.raises(CompressedBertError, match=f"there is no component 'rasa_compressed_bert.{name}'; known"):
        read_project(*files(name))


def test_a_file_that_is_not_there_is_named_before_anything_is_trained(files):
    project = read_project(*files("PrunedBertIntentClassifier", "out_of_scope: {messages: nowhere.txt}"))
    with pytest.raises(CompressedBertError, match="out_of_scope.messages: there is no file or folder 'nowhere.txt'"):
        project.data  # noqa: B018


@pytest.mark.parametrize("value", ["2024-02-30", "!!int many", "\xff"])
def test_a_value_that_yaml_cannot_read_is_one_sentence(tmp_path, value):
    (tmp_path / "config.yml").write_text(f"assistant_id: {value}", encoding="latin-1")
    with pytest.raises(CompressedBertError, match="'.*config.yml' cannot be read: "):
        read_yaml(tmp_path / "config.yml")


@pytest.mark.parametrize("component", ["JointBertClassifier", "BertEntityExtractor"])
def test_lookups_and_synonyms_are_learnt_as_rasa_train_learns_them(files, component):
    read, other = read_project(*files(component)), read_project(*files(component, nlu=NLU[:-3]))
    assert read.known == KNOWN
    assert read.data != other.data, "a study of other values is another study"
    assert read_project(*files(component, "lookups: false")).known is None
    varied = read_project(*files(component, "lookups: false"), varied=["lookups"])
    assert varied.known == KNOWN, "a trial with lookups: true would learn none"


def test_a_component_without_entities_learns_no_lookup_values(files):
    assert read_project(*files("PrunedBertIntentClassifier")).known is None


def test_a_lookup_table_that_is_not_there():
    data = SimpleNamespace(lookup_tables=[{"name": "food", "elements": "no-such.txt"}], entity_synonyms={})
    with pytest.raises(CompressedBertError, match="lookup table 'food' cannot be read.*no-such.txt"):
        known_values_of(data)


@pytest.mark.parametrize("pruning", ["none", "neuron"])
def test_a_search_trains_with_them(files, tmp_path, monkeypatch, pruning):
    given = {}
    trained = SimpleNamespace(train=lambda *_, known: given.update(known=known))
    monkeypatch.setattr(bert_training, "train_bert", trained.train)
    monkeypatch.setattr(bert_training, "fine_tune_bert", trained.train)
    monkeypatch.setattr(bert_training, "compress_bert", lambda *_: None)
    monkeypatch.setattr(MessageTask, "measured", lambda *_: Measured({}, 0.0, 0.0, 0))
    project = read_project(*files("JointBertClassifier"))
    base = {"pruning": {"method": pruning}}
    task = MessageTask(project.examples, cache=tmp_path, known=project.known)
    evaluator = Evaluator(task, project.config_class, base)
    evaluator.measure({})
    assert given["known"] == KNOWN
    evaluator.measure({"lookups": False})
    assert given["known"] == KnownValues()


def test_a_search_learns_no_synonym_from_held_out_messages(files, tmp_path, monkeypatch):
    """Rasa derives a synonym from every annotation with a value."""
    given = []
    monkeypatch.setattr(bert_training, "train_bert", lambda examples, _, known: given.append((examples, known)))
    monkeypatch.setattr(MessageTask, "measured", lambda *_: Measured({}, 0.0, 0.0, 0))
    foods = [f"food{letter}" for letter in "abcdefghij"]
    orders = [f'    - order [{food}]{{"entity": "food", "value": "meal"}} now' for food in foods]
    project = read_project(*files("JointBertClassifier", nlu=[*NLU[:4], *orders]))
    base = {"pruning": {"method": "none"}}
    task = MessageTask(project.examples, cache=tmp_path, known=project.known)
    Evaluator(task, project.config_class, base).measure({})
    ((training, known),) = given
    assert len(training) == 8 and len(project.known.synonyms) == 10
    assert set(known.synonyms) == {example.text.split()[1] for example in training}


def test_a_config_is_written_without_secrets(files, monkeypatch, tmp_path):
    """Rasa substitutes environment variables when it reads a config.yml."""
    monkeypatch.setenv("API_KEY", "s3cret")
    config, nlu = files("PrunedBertIntentClassifier", "epochs: 3", "# that many", "pruning:", "  final_sparsity: 0.5")
    other = ["- name: other.Extractor", "  url: http://me:${API_KEY}@host", "  tolerance: 1e-3", "language: 'no'"]
    config.write_text("\n".join([config.read_text(), *other]), encoding="utf-8")
    project = read_project(config, nlu)
    write_yaml(project.with_options({"pruning.method": "none", "epochs": 5}), tmp_path / "picked.yml")
    written = (tmp_path / "picked.yml").read_text()
    assert "s3cret" not in written and "${API_KEY}" in written
    ours, others = read_yaml(tmp_path / "picked.yml")["pipeline"]
    assert ours == {
        "name": "rasa_compressed_bert.PrunedBertIntentClassifier",
        "epochs": 5,
        "pruning": {"final_sparsity": 0.5, "method": "none"},
    }
    assert others == {"name": "other.Extractor", "url": "http://me:s3cret@host", "tolerance": 1e-3}


@pytest.mark.parametrize("option", ["epochs:\t3", "epochs: 3\t# that many"])
def test_a_config_that_cannot_be_written_again_is_refused_before_the_search(files, option):
    """Rasa reads these tabs, and the reader that keeps the names of environment variables does not."""
    config, nlu = files("PrunedBertIntentClassifier", option)
    assert read_yaml(config)["pipeline"][0]["epochs"] == 3
    with pytest.raises(CompressedBertError, match="--config: '.*config.yml' has YAML that search cannot write again"):
        read_project(config, nlu)


@pytest.mark.parametrize("language", ["de", ["de"], {"de": 1}, 5, None])
def test_the_language_in_the_metadata_may_be_of_any_type(tmp_path, monkeypatch, language):
    model = write_archive(tmp_path / "model.tar.gz", {})
    monkeypatch.setattr(archives, "metadata", lambda folder: {"language": language})
    assert package_spacy._read(model, None) == ("de" if language == "de" else None, {})


def test_a_package_is_trained_with_them(files, monkeypatch):
    given = {}
    monkeypatch.setattr(bert_training, "train_or_finetune", lambda *_, known: given.update(known=known))
    package_spacy._trained("all-MiniLM-L6-v2", files("JointBertClassifier")[1])
    assert given["known"] == KNOWN


def test_a_study_of_other_responses_is_another_study(files):
    def data(intent):
        nlu = [line.replace("intent: order", f"intent: {intent}") for line in NLU]
        return read_project(*files("PrunedBertIntentClassifier", nlu=nlu)).data

    assert data("faq/order") != data("faq/pay")
