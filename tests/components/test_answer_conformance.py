"""What `BertAnswerExtractor` guarantees besides what all components do."""

import json
import logging
import shutil
from pathlib import Path

import pytest
from component_harness import ANSWERERS, MESSAGES, RESOURCE, create, load, make_storage, predict, train, training_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

from rasa_compressed_bert.components import resource_io

pytestmark = pytest.mark.parametrize("case", ANSWERERS, indirect=True)
QUESTIONS = ["how is the pizza ?", "is the sun hot", "curry", "the rain is what"]
WORDS = st.sampled_from(["hot", "pizza", "the", "rain", "[SEP]", "\u200d", "\u0301", "\x00", "👩", "\ud800", "\r\n"])


@pytest.fixture
def certain(trained):
    """The trained component with a confidence threshold of 0."""
    decoder = trained.component._predictor.decoder
    before, decoder.threshold = decoder.threshold, 0.0
    yield trained.component
    decoder.threshold = before


def assert_well_formed(answer, documents):
    if answer is None:
        return
    assert list(answer) == ["text", "document", "start", "end", "confidence"]
    text = (Path(documents) / answer["document"]).read_text(encoding="utf-8")
    assert 0 <= answer["start"] < answer["end"] and text[answer["start"] : answer["end"]] == answer["text"]
    assert type(answer["confidence"]) is float and 0.0 <= answer["confidence"] <= 1.0


def test_answers(certain, case):
    answers = [said["answer"] for said in predict(certain, QUESTIONS)]
    assert all(answers)
    for answer in answers:
        assert_well_formed(answer, case.config["documents"])
    json.dumps(answers, allow_nan=False)


def test_no_answer_is_null_which_rasa_leaves_out(trained):
    assert not any("answers" in said for said in predict(trained.component, [*MESSAGES, None]))
    messages = [Message({TEXT: text}) for text in ("", "zzzz")]
    trained.component.process(messages)
    for message in messages:
        assert message.get("answer", "absent") is None
        assert "answer" not in message.as_dict(only_output_properties=True)


def test_of_several_extractors_the_most_certain_one_answers(certain, case, trained):
    """Such as one for each folder of documents, with intents of its own."""
    other = load(case.component, {**case.config, "intents": ["other"]}, trained.storage)
    (own,) = predict(certain, QUESTIONS[:1])
    certain.process([asked := Message({TEXT: QUESTIONS[0], "intent": {"name": "ask"}})])
    other.process([asked])
    assert asked.get("answer") == own["answer"], "the other one does not read this intent"
    for confidence, is_kept in ((1.0, True), (0.0, False)):
        before = {**own["answer"], "text": "of another extractor", "confidence": confidence}
        asked = Message({TEXT: QUESTIONS[0], "answer": before})
        certain.process([asked])
        assert (asked.get("answer") == before) == is_kept
        assert asked.get("answer") in (before, own["answer"])


@pytest.mark.parametrize("before", ["a text", {"text": "without a confidence"}, {"confidence": "high"}])
def test_an_answer_of_another_package_is_replaced(certain, before):
    asked = Message({TEXT: QUESTIONS[0], "answer": before})
    certain.process([asked])
    assert asked.get("answer") == predict(certain, QUESTIONS[:1])[0]["answer"]


def test_an_answer_below_the_threshold_is_no_answer(trained):
    decoder = trained.component._predictor.decoder
    before, decoder.threshold = decoder.threshold, 1.1
    try:
        assert not any("answer" in said for said in predict(trained.component, QUESTIONS))
    finally:
        decoder.threshold = before


def test_other_intents_are_not_answered(case, trained):
    served = load(case.component, {**case.config, "intents": ["ask"]}, trained.storage)
    served._predictor.decoder.threshold = 0.0
    messages = [
        Message({TEXT: QUESTIONS[0], "intent": intent}) for intent in ({"name": "ask"}, {"name": "greet"}, None)
    ]
    served.process([*messages, last := Message({TEXT: QUESTIONS[0]})])
    assert messages[0].get("answer") is not None
    assert [message.get("answer") for message in [*messages[1:], last]] == [None] * 3


def test_unknown_intents_are_warned_of(case, storage, caplog):
    caplog.set_level(logging.WARNING)
    config = {**case.config, "intents": ["ask", "greet", "nlu_fallback"], "training_data": None}
    component = create(case.component, config, storage)
    component.train(training_data())
    assert "intents: BertAnswerExtractor names intents that are not in the training data: ask." in caplog.text
    assert "no examples with an answer: BertAnswerExtractor learns nothing. Set training_data to" in caplog.text
    loaded = load(case.component, case.config, storage)
    assert predict(loaded, QUESTIONS[:1]) == [{"text": QUESTIONS[0]}]


@pytest.mark.parametrize("option", ["training_data", "documents"])
def test_files_that_are_not_there(case, storage, option):
    component = create(case.component, {**case.config, option: "nowhere"}, storage)
    with pytest.raises(RasaException, match=f"{option}: 'nowhere' "):
        component.train(training_data())


@pytest.mark.parametrize("folder", ["{home}/documents", "~/documents"])
def test_the_cache_is_renewed_by_other_files(case, tmp_path, monkeypatch, folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = {**case.config, "documents": folder.format(home=tmp_path)}
    (tmp_path / "documents").mkdir()
    found = []
    for text in ("a", "b"):
        (tmp_path / "documents" / "a.md").write_text(text)
        found.append(case.component.fingerprint_addon(config))
    assert len({*found, case.component.fingerprint_addon(case.config)}) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_finetuning(case, trained, tmp_path):
    """`--finetune` continues with the model, which stays as small as it is, and reads the documents again."""
    storage = make_storage(Path(shutil.copytree(trained.folder, tmp_path / "finetuned")))
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "music.md").write_text("the song is good . please play the music today .")
    config = {**case.config, "documents": str(tmp_path / "documents"), "epochs": 1, "finetuning_epoch_fraction": 0.5}
    load(case.component, config, storage).train(training_data())
    served = load(case.component, config, storage)
    manifests = [resource_io.load(one, RESOURCE).manifest for one in (trained.storage, storage)]
    assert manifests[0]["encoder"] == manifests[1]["encoder"]
    assert set(manifests[1]["training_scores"]) == {*manifests[0]["training_scores"], "finetuned"}
    assert manifests[1]["held_out"]["questions"] > 0
    served._predictor.decoder.threshold = 0.0
    assert predict(served, ["how is the song ?"])[0]["answer"]["document"] == "music.md"


@pytest.mark.slow
def test_a_model_without_documents(case, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    config = {**case.config, "documents": None, "epochs": 1, "pruning": {"method": "none"}}
    component = train(case.component, config, training_data(), make_storage(tmp_path))
    assert "documents: no folder is set" in caplog.text
    assert "answer" not in predict(component, QUESTIONS)[0]


def test_any_text(certain, case):
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(WORDS | st.text(max_size=12), max_size=8).map(" ".join))
    def ask(text):
        assert_well_formed(predict(certain, [text])[0].get("answer"), case.config["documents"])

    ask()
