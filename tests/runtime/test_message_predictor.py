"""From text to intents and entities through ONNX Runtime alone."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_parameters, random_shape
from scipy.special import softmax
from shipped_tokenizer import minilm_tokenizer

from rasa_compressed_bert.artifact.artifact import LONGEST_MESSAGE, Artifact
from rasa_compressed_bert.config import BertAnswerExtractorConfig, PrunedBertIntentClassifierConfig, QuantizationConfig
from rasa_compressed_bert.data.entities import COMMA, EntityLabel, EntitySpan, TagScheme
from rasa_compressed_bert.errors import ArtifactError, ConfigError
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.message_predictor import NOTHING, MessagePredictor
from rasa_compressed_bert.tokenization.pieces import align_entities
from rasa_compressed_bert.tokenization.wordpieces import punctuation_ids

SHAPE = random_shape(vocab_size=30522)
FRUIT, CITY = EntityLabel("fruit"), EntityLabel("city", "from")
SCHEME = TagScheme((FRUIT, CITY))
ENTITIES = {**SCHEME.to_dict(), "temperature": 2.0, "cuts": {}, "inside_words": False, "comma_separated": ["fruit"]}


class Scripted:
    """A stub of an engine with given tag logits."""

    def __init__(self, logits):
        self.tag_logits = np.concatenate([np.zeros((1, SCHEME.num_tags)), logits, np.zeros((1, SCHEME.num_tags))])

    def run(self, input_ids, attention_mask):
        assert input_ids.shape == (1, len(self.tag_logits))
        return [np.array([[1.0, 3.0]]), np.zeros((1, 4)), self.tag_logits[np.newaxis].astype(np.float32)]


@pytest.fixture(scope="module")
def artifact():
    parameters = random_parameters(SHAPE, num_classes=2, num_tags=SCHEME.num_tags)
    manifest = {"labels": ["a", "b"], "max_length": 40, "temperature": 1.0, "entities": ENTITIES}
    model = ModelState(SHAPE, parameters, minilm_tokenizer())
    return serving_artifact(model, Format(QuantizationConfig(method="none")), kind="test", manifest=manifest)


@pytest.fixture
def told(artifact):
    """Predicts a text of which the engine tags a part as an entity, or nothing."""

    def predict(text, part, label=FRUIT, *, sure=5.0):
        predictor = MessagePredictor(artifact)
        pieces = predictor._tokenizer.encode(text)
        start = text.index(part)
        entities = [EntitySpan(start, start + len(part), *label)] if part else []
        spans, _, _ = align_entities(entities, pieces, {FRUIT: 0, CITY: 1})
        predictor._engine = Scripted(sure * np.eye(SCHEME.num_tags)[SCHEME.tags(spans, len(pieces.starts))])
        return predictor.predict(text)

    return predict


def values(text, prediction):
    return [(text[entity.start : entity.end], entity.label.entity) for entity in prediction.entities]


@pytest.mark.parametrize(
    "part, expected",
    [
        ("apples, pears, plums", ["apples", "pears", "plums"]),
        ("apples , pears", ["apples", "pears"]),
        ("1,000", ["1,000"]),
        ("apples,pears", ["apples,pears"]),
        (", apples", ["apples"]),
        ("apples,, pears,", ["apples", "pears"]),
    ],
)
def test_a_list_is_several_entities(told, part, expected):
    text = f"buy {part} now"
    assert values(text, told(text, part)) == [(value, "fruit") for value in expected]


def test_blanks_within_an_entity_are_read_once(told):
    """If all following characters were searched from each blank, a million blanks would take days."""
    part = f"new{' ' * 1_000_000}york"
    assert COMMA.search(part) is None
    part = f"new{' ' * 3000}york"  # within the part of a text that is read
    text = f"buy {part} now"
    assert values(text, told(text, part)) == [(part, "fruit")]


@given(st.text(" \t\n,a", max_size=30))
def test_commas_are_found_with_all_the_blanks_around_them(text):
    found = [match.span() for match in COMMA.finditer(text)]
    assert found == [match.span() for match in re.finditer(r"\s*,\s+", text)]


def test_other_types_keep_their_commas(told):
    text = "from high street, rome please"
    prediction = told(text, "high street, rome", CITY)
    assert values(text, prediction) == [("high street, rome", "city")]
    assert prediction.entities[0].label == CITY


def test_confidence_is_a_calibrated_probability(told):
    text, part = "buy red apples now", "red apples"
    (entity,) = told(text, part, sure=5.0).entities
    tags = np.eye(SCHEME.num_tags)[1] * 5.0
    assert entity.confidence == pytest.approx(softmax(tags / 2.0).max())
    assert told(text, part, sure=1.0).entities[0].confidence < entity.confidence


def test_intents_beside_entities(told):
    prediction = told("buy apples", "")
    assert [name for name, _ in prediction.ranking] == ["b", "a"] and prediction.entities == []


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "\x00"])
def test_nothing_to_read(artifact, text):
    assert MessagePredictor(artifact).predict(text) == NOTHING


def test_predictions_of_a_random_model_are_well_formed(artifact):
    prediction = MessagePredictor(artifact).predict("from rome to oslo")
    assert [round(sum(confidence for _, confidence in prediction.ranking), 6)] == [1.0]
    assert all(0 <= entity.start < entity.end <= 17 for entity in prediction.entities)


@pytest.mark.parametrize("length", [0, 513, 1_000_000, 12.5, "128"])
def test_a_model_that_reads_messages_of_any_length_is_refused(artifact, length):
    """Time and memory of attention are quadratic: 12,000 words took 1.8 GB in a tiny model with enough positions."""
    with pytest.raises(ArtifactError, match="reads messages of up to"):
        MessagePredictor(Artifact({**artifact.manifest, "max_length": length}, artifact.files))


@pytest.mark.parametrize("options", [PrunedBertIntentClassifierConfig, BertAnswerExtractorConfig])
def test_the_longest_message_is_that_of_the_options(options):
    options.from_dict({"max_length": LONGEST_MESSAGE})
    with pytest.raises(ConfigError, match="max_length"):
        options.from_dict({"max_length": LONGEST_MESSAGE + 1})


@pytest.mark.parametrize("places", [["x"], [1.5], 1])
def test_invalid_split_points_are_refused_when_the_model_is_opened(artifact, places):
    entities = {**ENTITIES, "cuts": {"rome": places}}
    with pytest.raises(TypeError):
        MessagePredictor(Artifact({**artifact.manifest, "entities": entities}, artifact.files))


PUNCTUATION = sorted(punctuation_ids(minilm_tokenizer()))


@pytest.mark.parametrize(
    "text, unknown",
    [("🤷", True), ("🤷 🤷", True), ("¿🤷?!", True), ("apples 🤷", False), ("🤷 7", False), ("?", False)],
)
def test_unknown_wordpieces_alone_have_no_intent_unless_they_were_learnt(artifact, text, unknown):
    def confidences(**out_of_scope):
        manifest = {**artifact.manifest, "out_of_scope": out_of_scope} if out_of_scope else artifact.manifest
        ranking = MessagePredictor(Artifact(manifest, artifact.files)).predict(text).ranking
        return [confidence for _, confidence in ranking]

    found = confidences(has_unknown_messages=False, punctuation=PUNCTUATION)
    assert found == ([0.0, 0.0] if unknown else confidences())
    assert sum(confidences()) == sum(confidences(has_unknown_messages=True)) == pytest.approx(1.0)
