"""From text to an intent ranking through ONNX Runtime alone."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from random_models import UNEVEN, random_parameters, random_shape

from rasa_compressed_bert.artifact.artifact import GRAPH, VIEWS, WEIGHTS, Artifact, read_artifact, write_artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.config import OutOfScopeConfig, QuantizationConfig
from rasa_compressed_bert.errors import ArtifactError, DataError
from rasa_compressed_bert.export.onnx_graph import onnx_model
from rasa_compressed_bert.export.serving import Format
from rasa_compressed_bert.export.task_model import TrainedOutput, export_task_model
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.message_predictor import NOTHING, MessagePredictor
from rasa_compressed_bert.runtime.ranking import IntentRanker, softmax
from rasa_compressed_bert.tasks.view_stage import Voting, with_views
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

LABELS = ["greet", "goodbye", "weather", "spice", "music"]
TEXTS = ["it is hot today", "hello", "please play the music very very loud", "pizza?", "a b c"]


@pytest.fixture(scope="module")
def tokenizer(tiny_weights):
    return (tiny_weights / "tokenizer.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model():
    shape = random_shape(UNEVEN, vocab_size=139)
    return TaskModel(shape, random_parameters(shape, num_classes=5))


@pytest.fixture(scope="module")
def artifact(tokenizer, model):
    ids = WordpieceTokenizer(tokenizer, 40).encode_all(TEXTS)
    logits = np.concatenate([model(row[np.newaxis], np.ones((1, len(row)), np.int32)).heads["logits"] for row in ids])
    return export_task_model(
        ModelState(model.encoder.shape, model.values(), tokenizer),
        Format(QuantizationConfig(method="none")),
        kind="intent_classifier",
        manifest={"labels": LABELS, "max_length": 40, "temperature": 0.7},
        input_ids=ids,
        trained=[TrainedOutput("logits", logits, 1.0, logits.argmax(axis=1))],
    )


@pytest.fixture(scope="module")
def predictor(artifact):
    return MessagePredictor(artifact)


@pytest.mark.parametrize("text", TEXTS)
def test_ranking_is_the_softmax_of_the_models_logits(predictor, model, tokenizer, text):
    ranking = predictor.predict(text).ranking
    ids = WordpieceTokenizer(tokenizer, 40).encode(text)[np.newaxis]
    logits = model(ids, np.ones_like(ids)).heads["logits"].numpy()[0] / 0.7
    expected = dict(zip(LABELS, np.exp(logits) / np.exp(logits).sum()))
    assert {label for label, _ in ranking} == set(LABELS)
    for label, confidence in ranking:
        assert confidence == pytest.approx(expected[label], abs=1e-4)
    confidences = [confidence for _, confidence in ranking]
    assert confidences == sorted(confidences, reverse=True)
    assert math.fsum(confidences) <= 1.0 and sum(confidences) == pytest.approx(1.0)
    assert json.loads(json.dumps(ranking)) == [list(entry) for entry in ranking]


@pytest.mark.parametrize("text", ["", "  \n", "\u200b\u200d", "\x00", "\ufeff", "\ud800"])
def test_text_without_a_wordpiece_has_no_intents(predictor, text):
    assert predictor.predict(text) == NOTHING


@pytest.mark.parametrize(
    "text", ["🌶🔥", "\u202eمرحبا", "\ud800 hot", "x" * 100_000, "hot " * 25_000, "a\x00b", "[SEP] [PAD]"]
)
def test_odd_texts_have_a_ranking(predictor, text):
    ranking = predictor.predict(text).ranking
    assert len(ranking) == 5 and all(0.0 <= confidence <= 1.0 for _, confidence in ranking)


def test_end_of_a_long_message_is_not_seen(predictor):
    one, other = (predictor.predict("hot " * 38 + end) for end in ("hello", "bye bye"))
    assert one == other != NOTHING


def test_threads_give_the_same_answers(artifact):
    for predictor in (MessagePredictor(artifact), MessagePredictor(artifact, num_threads=2)):
        alone = [predictor.predict(text) for text in TEXTS]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(predictor.predict, TEXTS * 40))
        assert together == alone * 40


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
@pytest.mark.parametrize("data", [b"", b"no model", None])
def test_damaged_files_are_refused(artifact, name, data):
    files = {**artifact.files, name: artifact.files[name][:-100] if data is None else data}
    with pytest.raises(ArtifactError):
        MessagePredictor(Artifact(artifact.manifest, files))


def test_weights_that_are_not_in_the_file_are_refused(artifact):
    manifest = {**artifact.manifest, "graph_weights": [*artifact.manifest["graph_weights"], "no.such.weights"]}
    with pytest.raises(ArtifactError):
        MessagePredictor(Artifact(manifest, artifact.files))


@given(
    arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(0.13, 8.0),
)
def test_softmax(logits, temperature):
    confidences = softmax(logits, temperature)
    assert math.fsum(confidences) <= 1.0 and sum(confidences.tolist()) == pytest.approx(1.0)
    assert (confidences >= 0).all() and confidences[logits.argmax()] == confidences.max()  # logits may differ by 1e-45
    shifted = softmax(logits.astype(np.float64) + 3.0, temperature)
    np.testing.assert_allclose(shifted, confidences, atol=1e-9)


def test_softmax_by_hand():
    np.testing.assert_allclose(softmax(np.log([1.0, 3.0]), 1.0), [0.25, 0.75])
    np.testing.assert_allclose(softmax(np.log([1.0, 9.0]), 2.0), [0.25, 0.75])


def test_confidences_of_very_many_intents_are_rounded_at_once(monkeypatch):
    """In single steps of 2^-52 it would take five million of them."""
    labels = [f"intent {number}" for number in range(1000)]
    confidences = np.full(len(labels), (1.0 + 1e-9) / len(labels))
    views = SimpleNamespace(confidences=lambda reading: confidences)
    monkeypatch.setattr("rasa_compressed_bert.views.decision.read", lambda *_: views)
    manifest = {"labels": labels, "temperature": 1.0, "views": {}}
    ranker = IntentRanker(Artifact(manifest, {VIEWS: tensors_to_bytes({"one": np.ones(1)})}))
    ranking = ranker.rank("text", np.zeros(len(labels)), None)
    assert 1.0 - 1e-12 < math.fsum(confidence for _, confidence in ranking) <= 1.0


def test_an_artifact_of_version_2_answers_as_it_did(artifact, predictor, tmp_path):
    """Its graph outputs logits alone, and its manifest has neither outputs nor views."""
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    graph = onnx_model(EncoderShape.from_dict(artifact.manifest["encoder"]), tensors)
    manifest = {name: value for name, value in artifact.manifest.items() if name != "outputs"}
    files = {**artifact.files, GRAPH: graph.proto.SerializeToString()}
    write_artifact(Artifact({**manifest, "graph_weights": graph.weights, "format_version": 2}, files), tmp_path)
    read = read_artifact(tmp_path)
    assert read.manifest["format_version"] == 2
    for text in TEXTS:
        before, after = dict(predictor.predict(text).ranking), dict(MessagePredictor(read).predict(text).ranking)
        assert after == pytest.approx(before, abs=1e-6)


def test_views_decide_where_there_are_some(artifact, tmp_path):
    classes = np.arange(len(TEXTS))
    viewed = with_views(artifact, TEXTS, classes, OutOfScopeConfig(), voting=Voting(), seed=0)
    write_artifact(viewed, tmp_path)
    served = MessagePredictor(read_artifact(tmp_path))
    for text, label in zip(TEXTS, classes):
        assert served.predict(text).ranking[0][0] == LABELS[label]  # not predicted by the random model itself
    assert viewed.manifest["out_of_scope"]["has_unknown_messages"] is False
    emoji = with_views(artifact, ["🤷", *TEXTS[1:]], classes, OutOfScopeConfig(), voting=Voting(), seed=0)
    assert emoji.manifest["out_of_scope"]["has_unknown_messages"] is True
    assert served.predict("xqzj wvkk").ranking[0][1] < max(served.predict(text).ranking[0][1] for text in TEXTS)
    nothing = with_views(artifact, TEXTS, classes, OutOfScopeConfig(detector="none"), voting=Voting(), seed=0)
    assert VIEWS not in nothing.files


def test_messages_out_of_scope_come_from_a_file(artifact, tmp_path):
    with pytest.raises(DataError, match="out_of_scope.messages"):
        options = OutOfScopeConfig(messages=str(tmp_path / "none.txt"))
        with_views(artifact, TEXTS, np.arange(5), options, voting=Voting(), seed=0)
    path = tmp_path / "outside.txt"
    path.write_text("\n".join(f"nonsense {number}" for number in range(12)), encoding="utf-8")
    viewed = with_views(artifact, TEXTS, np.arange(5), OutOfScopeConfig(messages=str(path)), voting=Voting(), seed=0)
    assert MessagePredictor(viewed).predict(TEXTS[0]).ranking
