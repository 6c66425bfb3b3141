"""A spaCy pipeline with a compressed BERT predicts as our components do, and its vectors are the model's features."""

import copy
import json
import pickle
import tracemalloc

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy_harness import LABELS, SHAPE, TEXTS, random_artifact, random_pipeline

from rasa_compressed_bert.artifact.artifact import WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.data.entities import EntityLabel
from rasa_compressed_bert.errors import ArtifactError, ConfigError, ExportError
from rasa_compressed_bert.export.documents import document_artifact
from rasa_compressed_bert.runtime.document_predictor import DocumentPredictor
from rasa_compressed_bert.runtime.entity_decoder import FoundEntity
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor, Prediction
from rasa_compressed_bert.spacy_pipeline.package import bert_pipeline


@pytest.fixture(scope="module")
def artifact():
    return random_artifact()


@pytest.fixture(scope="module")
def nlp(artifact):
    return bert_pipeline(artifact, "en")


def close(a, b, tolerance=1e-5):
    return np.allclose(a, b, atol=tolerance)


def logits(artifact, vector):
    """The logits of the intents for a vector."""
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    return vector @ tensors["classifier.kernel"] + tensors["classifier.bias"]


@pytest.mark.parametrize("text", TEXTS)
def test_intents_and_entities_are_those_of_the_model(artifact, nlp, text):
    expected, doc = MessagePredictor(artifact).predict(text), nlp(text)
    assert doc.text == text and set(doc.cats) == set(LABELS)
    assert doc.cats == pytest.approx({**dict.fromkeys(LABELS, 0.0), **dict(expected.ranking)}, abs=1e-6)
    places = [(span.start_char, span.end_char, span.label_) for span in doc.ents]
    assert places == [(entity.start, entity.end, entity.label.entity) for entity in expected.entities]
    for span, entity in zip(doc.ents, expected.entities):
        said = span._.compressed_bert
        assert (said["role"], said["group"]) == entity.label[1:]
        assert said["confidence"] == pytest.approx(entity.confidence, abs=1e-5)


def test_unknown_wordpieces_alone_have_no_intent_if_they_have_none_in_rasa(artifact):
    manifest = {**artifact.manifest, "out_of_scope": {"has_unknown_messages": False}}
    doc = bert_pipeline(Artifact(manifest, artifact.files), "en")("⠿ ⠿")
    assert doc.cats == dict.fromkeys(LABELS, 0.0) and not doc.ents and doc.vector.any()


def test_an_entity_inside_of_a_token_is_widened(nlp, monkeypatch):
    text, predict = "half-baked strawberries", DocumentPredictor.predict_document
    parts = [FoundEntity(*place, EntityLabel("fruit"), 0.5) for place in ((0, 2), (16, 23))]
    told = Prediction({"entities": parts})
    monkeypatch.setattr(DocumentPredictor, "predict_document", lambda *given: predict(*given)._replace(prediction=told))
    assert [span.text for span in nlp(text).ents] == ["half", "strawberries"]


@pytest.mark.parametrize("text", TEXTS[:2])
def test_the_vector_is_what_the_classifier_reads(artifact, nlp, text):
    doc = nlp(text)
    scores = np.exp(logits(artifact, doc.vector) / 2.0)
    assert close([doc.cats[label] for label in LABELS], scores / scores.sum(), 1e-4)


@pytest.mark.parametrize("text", [text for text in TEXTS if text.strip()])
def test_the_mean_of_words_is_the_vector(nlp, text):
    doc = nlp(text)
    assert doc.tensor.shape == (len(doc), SHAPE.hidden_size) and doc.tensor.dtype == np.float32
    as_rasa_does = np.mean([token.vector for token in doc if token.text and token.text.strip()], axis=0)
    assert close(as_rasa_does, doc.vector)
    assert nlp.vocab.vectors_length == SHAPE.hidden_size and doc.has_vector


@pytest.mark.parametrize("text", [text for text in TEXTS if text.strip()])
def test_words_are_the_means_of_their_wordpieces(artifact, text):
    """Up to one shift of all words that makes their mean the document's vector; compared with a plain loop."""
    predictor, doc = DocumentPredictor(document_artifact(artifact)), spacy.blank("en")(text)
    words = [(token.idx, token.idx + len(token)) for token in doc if token.text.strip()]
    document = predictor.predict_document(text, words)
    pieces = predictor._tokenizer.encode(text)
    if not len(pieces.starts):
        assert not document.words.any() and not document.vector.any()
        return
    states = predictor._engine.run(pieces.input_ids[np.newaxis], np.ones((1, len(pieces.input_ids)), np.int64))[-1][0]
    vector, rows = states.mean(axis=0), []
    for start, end in words:
        own = [
            states[1 + index]
            for index in range(len(pieces.starts))
            if pieces.ends[index] > start and pieces.starts[index] < end
        ]
        rows.append(np.mean(own, axis=0) if own else vector)
    assert close(document.words, np.array(rows) + vector - np.mean(rows, axis=0)) and close(document.vector, vector)
    assert document.words.dtype == np.float32


def test_vectors_of_a_long_document_are_not_copied(nlp, artifact, monkeypatch):
    """spaCy needs a row for each token: with MiniLM 1.5 kB, 768 MB for a message of a million characters."""
    predictor, seen, count = DocumentPredictor(document_artifact(artifact)), 10, 2000
    pieces = predictor._tokenizer.encode("a " * seen)
    words = [(2 * number, 2 * number + 1) for number in range(count)]
    tracemalloc.start()
    vectors, _ = predictor._vectors(np.ones((seen + 2, 1000), np.float32), pieces, words)
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert vectors.shape == (count, 1000) and largest < 1.3 * vectors.nbytes
    found = []
    predict = DocumentPredictor.predict_document
    monkeypatch.setattr(
        DocumentPredictor, "predict_document", lambda *given: found.append(predict(*given)) or found[-1]
    )
    for text, is_copied in (("a " * seen, False), ("a  " * seen, True)):  # white space in excess is a token
        assert np.shares_memory(nlp(text).tensor, found[-1].words) != is_copied


def test_words_differ(nlp):
    doc = nlp("An apple from Bonn")
    assert np.abs(doc[1].vector - doc[3].vector).max() > 0.1
    assert close(nlp("An apple from Bonn")[1].vector, doc[1].vector)


def test_pooling_cls_gives_the_first_state():
    pooled = random_artifact(num_tags=0, pooler_size=24)
    doc = bert_pipeline(pooled, "en")("An apple from Bonn")
    tensors = tensors_from_bytes(pooled.files[WEIGHTS])
    features = np.tanh(doc.vector @ tensors["pooler.kernel"] + tensors["pooler.bias"])
    scores = np.exp(logits(pooled, features) / 2.0)
    assert close([doc.cats[label] for label in LABELS], scores / scores.sum(), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("runtime_quantization", ["none", "dynamic_int8", "kmeans"])
def test_every_format(runtime_quantization):
    quantized = random_artifact(quantization=runtime_quantization)
    doc = bert_pipeline(quantized, "de")("An apple from Bonn")
    assert doc.cats == pytest.approx(dict(MessagePredictor(quantized).predict("An apple from Bonn").ranking), abs=1e-5)


@pytest.mark.slow
def test_a_model_of_one_task():
    assert not random_pipeline(num_classes=0)("hello there").cats
    assert not random_pipeline(num_tags=0)("hello there").ents


@pytest.mark.parametrize("method", ["none", "dynamic_int8"])
def test_a_document_does_not_depend_on_its_batch(method):
    """Rasa trains on documents of `nlp.pipe`, and serves one at a time."""
    nlp = bert_pipeline(random_artifact(quantization=method), "en")
    for doc, text in zip(nlp.pipe(TEXTS * 9, batch_size=5), TEXTS * 9):
        alone = nlp(text)
        assert doc.text == text and np.array_equal(doc.tensor, alone.tensor) and doc.cats == alone.cats


@pytest.mark.slow
def test_several_processes(nlp):
    docs = list(nlp.pipe(TEXTS * 2, batch_size=4, n_process=2))
    assert [doc.text for doc in docs] == TEXTS * 2
    assert all(close(doc.vector, nlp(doc.text).vector, 1e-4) for doc in docs if len(doc))


def test_documents_keep_vectors_and_entities_as_bytes(nlp):
    doc = nlp("An apple from Bonn")
    again = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    assert close(again.vector, doc.vector) and again.cats == doc.cats
    assert [(span.text, span.label_, span._.compressed_bert) for span in again.ents] == [
        (span.text, span.label_, span._.compressed_bert) for span in doc.ents
    ]


def test_save_and_load(nlp, tmp_path):
    nlp.to_disk(tmp_path / "pipeline")
    loaded = spacy.load(tmp_path / "pipeline")
    assert loaded.config["components"]["compressed_bert"] == {"factory": "compressed_bert", "num_threads": 1}
    in_bytes = spacy.blank("en")
    in_bytes.add_pipe("compressed_bert")
    in_bytes.from_bytes(nlp.to_bytes())
    for other in (loaded, in_bytes):
        assert other.get_pipe("compressed_bert").labels == tuple(LABELS)
        assert close(other(TEXTS[1]).tensor, nlp(TEXTS[1]).tensor) and other(TEXTS[1]).cats == nlp(TEXTS[1]).cats


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda nlp: pickle.loads(pickle.dumps(nlp))], ids=["copy", "pickle"])
def test_a_pipeline_is_copied_and_pickled(nlp, copied):
    """As for processes that do not fork: those of Windows and macOS, and of Spark."""
    again, text = copied(nlp), TEXTS[1]
    assert again.get_pipe("compressed_bert").vocab is again.vocab
    assert again(text).cats == nlp(text).cats and (again(text).tensor == nlp(text).tensor).all()
    empty = spacy.blank("en")
    empty.add_pipe("compressed_bert")
    assert copied(empty).get_pipe("compressed_bert").labels == ()


def test_a_damaged_file_is_named(nlp, tmp_path):
    nlp.to_disk(tmp_path)
    weights = tmp_path / "compressed_bert" / WEIGHTS
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match=WEIGHTS):
        spacy.load(tmp_path)


def test_without_a_model():
    empty = spacy.blank("en")
    component = empty.add_pipe("compressed_bert")
    assert component.labels == ()
    for use in (lambda: empty("hello"), empty.to_bytes):
        with pytest.raises(ArtifactError, match="has no model: load a package"):
            use()


def test_entities_that_are_there_stay(artifact):
    nlp = bert_pipeline(artifact, "en")
    ruler = nlp.add_pipe("entity_ruler", before="compressed_bert")
    ruler.add_patterns([{"label": "KEPT", "pattern": "Bonn"}])
    doc = nlp("An apple from Bonn")
    assert [span.text for span in doc.ents if span.label_ == "KEPT"] == ["Bonn"]


@pytest.mark.slow
@pytest.mark.parametrize("factory", ["rasa_compressed_bert_secondary_pipeline", "beside"])
def test_a_second_pipeline(tmp_path, factory):
    other = spacy.blank("en")
    other.add_pipe("entity_ruler").add_patterns([{"label": "GREETING", "pattern": "hello"}])
    other.add_pipe("attribute_ruler").add([[{"ORTH": "there"}]], {"LEMMA": "where"})
    other.to_disk(tmp_path / "other")
    nlp = bert_pipeline(random_artifact(num_tags=0), "en")
    nlp.add_pipe(factory, config={"model": str(tmp_path / "other")})
    doc = nlp("oh  hello there")
    assert [(span.text, span.label_) for span in doc.ents] == [("hello", "GREETING")] and doc[3].lemma_ == "where"
    assert set(doc.cats) == set(LABELS)


def test_what_it_writes_is_declared(nlp):
    analysis = nlp.analyze_pipes()
    assert {"doc.tensor", "doc.cats", "doc.ents"} <= set(analysis["summary"]["compressed_bert"]["assigns"])
    assert Span.has_extension("compressed_bert") and json.dumps(nlp.config["components"])


def test_students_without_words_are_refused():
    plain = random_artifact()
    manifest = {key: value for key, value in plain.manifest.items() if key != "encoder"}
    student = type(plain)({**manifest, "student": {"architecture": "bilstm"}}, plain.files)
    with pytest.raises(ExportError, match="architecture bilstm has no word vectors"):
        bert_pipeline(student, "en")


def test_a_language_that_spacy_does_not_know():
    with pytest.raises(ConfigError, match="--language: spaCy does not support 'qqq'"):
        bert_pipeline(random_artifact(), "qqq")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text(nlp, text):
    doc = nlp(text)
    assert doc.text == text and np.isfinite(doc.tensor).all()
    assert sum(doc.cats.values()) <= 1.0 + 1e-9
    words = [token.vector for token in doc if token.text.strip()]
    if words:
        assert close(np.mean(words, axis=0), doc.vector, 1e-4)


def test_words_that_the_model_does_not_see_cost_nothing_but_their_vectors(artifact):
    """In a long document only few words have wordpieces."""
    predictor = DocumentPredictor(document_artifact(artifact))
    text, seen, count = "hot " * 100_000, 38, 100_000
    words = [(start, start + 3) for start in range(0, len(text), 4)]
    pieces = predictor._tokenizer.encode(text)
    assert len(pieces.starts) == seen
    tracemalloc.start()
    try:
        vectors, _ = predictor._vectors(np.ones((seen + 2, 1), np.float32), pieces, words)
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert vectors.shape == (count, 1) and largest < 2 * seen * count, "a byte a word and wordpiece, and floats of them"
