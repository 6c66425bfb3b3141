"""The model of `BertAnswerExtractor` stays in Rasa's cache folder until anything that its weights depend on changes."""

from pathlib import Path

import pytest
from answer_harness import write_documents, write_questions
from component_harness import EXAMPLES, RESOURCE, create, make_storage, training_data

from rasa_compressed_bert.components import config_io, resource_io
from rasa_compressed_bert.runtime.passage_index import PassageIndex
from rasa_compressed_bert.tasks import answer_training

pytestmark = pytest.mark.parametrize("case", ["BertAnswerExtractor"], indirect=True)


@pytest.fixture
def train(quick, tmp_path, monkeypatch):
    """Trains in a new storage; returns whether BERT was trained, and the storage."""
    monkeypatch.setenv("RASA_CACHE_DIRECTORY", str(tmp_path / "kept"))
    calls = []
    whole = answer_training.fine_tune_extractor

    def count(*given, **options):
        calls.append(1)
        return whole(*given, **options)

    monkeypatch.setattr(answer_training, "fine_tune_extractor", count)

    def train(examples=EXAMPLES, component=quick.component, **options):
        calls.clear()
        storage = make_storage(tmp_path / f"storage {len(list(tmp_path.iterdir()))}")
        create(component, {**quick.config, **options}, storage).train(training_data(examples))
        return bool(calls), storage

    return train


def test_messages_documents_and_serving_do_not_train_it_again(train, tmp_path):
    documents = Path(write_documents(tmp_path / "documents"))
    trained, before = train(documents=str(documents))
    assert trained
    assert not train({**EXAMPLES, "greet": ["hello", "hi"]}, documents=str(documents))[0]
    assert not train(passages=1, intents=["ask"], num_threads=2)[0]
    (documents / "food.md").write_text("the pizza is good !")
    options = {"documents": str(documents), "no_answer_threshold": 0.0}
    trained, storage = train(**options)
    assert not trained
    old, new = (resource_io.load(one, RESOURCE) for one in (before, storage))
    assert old.files["weights.safetensors"] == new.files["weights.safetensors"]
    assert new.manifest["config"]["no_answer_threshold"] == new.manifest["answers"]["threshold"] == 0.0
    texts = {document.text for document in PassageIndex.open(new).documents}
    assert "the pizza is good !" in texts and len(texts) == 2


def test_questions_options_and_the_environment_train_it_again(train, quick, tmp_path, monkeypatch):
    class Derived(quick.component):
        """A component whose package may have registered other parts."""

    assert train()[0] and not train()[0]
    assert train(component=Derived)[0]
    assert train(training_data=write_questions(tmp_path / "others.json", seed=1))[0]
    assert train(random_seed=3)[0]
    monkeypatch.setattr(config_io, "_source_digest", lambda: "other code")
    assert train()[0] and not train()[0]
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "0")
    assert train()[0]


def test_documents_train_it_again_if_their_words_are_kept(train, tmp_path):
    documents = Path(write_documents(tmp_path / "documents"))
    options = {"documents": str(documents), "vocabulary": "trim", "vocabulary_size": 130}
    assert train(**options)[0] and not train(**options)[0]
    (documents / "food.md").write_text("the pizza is good !")
    assert train(**options)[0]
