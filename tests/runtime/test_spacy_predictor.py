"""From text to an intent ranking through spaCy."""

import re

import numpy as np
import pytest

from rasa_compressed_bert.artifact.artifact import SPACY_MODEL, Artifact
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.runtime import spacy_predictor
from rasa_compressed_bert.runtime.spacy_predictor import SpacyPredictor, log_probabilities, textcat_pipeline

LABELS = ["greet", "weather"]
TEXTS = ["hello", "don't ask, it's hot!", "naïve 🌶🔥", "U.S. 10km"]


def ascii_start(text):
    return ascii(text[:4])


@pytest.fixture(scope="module")
def nlp():
    nlp = textcat_pipeline("en", LABELS)
    nlp.initialize()
    return nlp


@pytest.fixture(scope="module")
def artifact(nlp):
    manifest = {"labels": LABELS, "temperature": 1.0, "max_length": 16, "student": {"language": "en"}}
    return Artifact(manifest, {SPACY_MODEL: nlp.to_bytes()})


def test_memory_does_not_grow_with_every_new_word(artifact, nlp, monkeypatch):
    monkeypatch.setattr(spacy_predictor, "_MOST_WORDS", 40)
    predictor = SpacyPredictor(artifact)
    tokenizer, before = predictor._nlp.tokenizer, len(predictor._nlp.vocab)
    start, vocabularies = len(tokenizer._tokenizer.vocab), set()
    expected = log_probabilities(nlp, TEXTS, max_length=16)
    for number in range(20):
        predictor.predict(" ".join(f"word{number}x{place}" for place in range(10)))
        np.testing.assert_array_equal(predictor.logits(TEXTS), expected)
        vocabularies.add(id(tokenizer._tokenizer.vocab))
        assert len(tokenizer._tokenizer.vocab) <= start + 40 + 2 * 16 + len(TEXTS) * 16
    assert len(vocabularies) > 1 and len(predictor._nlp.vocab) == before


@pytest.mark.parametrize("text", [part * 1_000_000 for part in ("hot ", "!", " ", "\x00")], ids=ascii_start)
def test_a_long_text_costs_no_more_than_a_shorter_one(artifact, text, monkeypatch):
    predictor, read = SpacyPredictor(artifact), []
    tokenizer = predictor._nlp.tokenizer
    monkeypatch.setattr(predictor._nlp, "tokenizer", lambda part: read.append(part) or tokenizer(part))
    assert predictor.predict(text) == predictor.predict(text[:2000])
    assert all(len(part) <= 16 * 101 for part in read)


def test_regular_expressions_of_a_model_are_not_used(artifact, nlp):
    """This one would take hours for a word of 40 letters."""
    other = textcat_pipeline("en", LABELS).from_bytes(nlp.to_bytes())
    other.tokenizer.token_match = re.compile("(a+)+b").match
    predictor = SpacyPredictor(Artifact(artifact.manifest, {SPACY_MODEL: other.to_bytes()}))
    text = f"{'a' * 40}!"
    assert predictor.predict(text) == SpacyPredictor(artifact).predict(text)


def test_very_many_intents_are_refused():
    """A hundred thousand would take four minutes."""
    with pytest.raises(ConfigError, match="at most 10000 intents, not 100000"):
        textcat_pipeline("en", [str(number) for number in range(100_000)])
