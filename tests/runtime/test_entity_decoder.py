"""Decoding of tags: places of entities, and what the intent of a message says about them."""

import math

import numpy as np
import pytest

from rasa_compressed_bert.data.entities import EntitySpan, TagScheme, TagSpan, entity_labels
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder
from rasa_compressed_bert.tokenization.pieces import Pieces

LABELS = entity_labels([EntitySpan(0, 1, "a"), EntitySpan(0, 1, "b")])
SCHEME = TagScheme(LABELS)
MANIFEST = {**SCHEME.to_dict(), "cuts": {}, "inside_words": True, "comma_separated": []}


def decoded(text, places, *spans):
    """The entities decoded from spans of pieces, each given as first piece, end piece (excluded) and label."""
    starts, ends = np.array(places).T
    pieces = Pieces(np.arange(len(places) + 2), starts, ends, np.zeros(len(places), bool), False)
    tags = SCHEME.tags([TagSpan(*span) for span in spans], len(places))
    logits = 9.0 * np.eye(SCHEME.num_tags)[tags]
    return [
        (found.start, found.end, found.label.entity) for found in EntityDecoder(MANIFEST).decode(text, pieces, logits)
    ]


def test_a_mark_alone_is_no_entity_and_may_begin_one():
    places = [(0, 3), (4, 4), (4, 5), (5, 6)]  # the second is the word mark of the second word
    assert decoded("das 天气", places, (1, 2, 0)) == []
    assert decoded("das 天气", places, (1, 3, 0)) == [(4, 5, "a")]
    assert decoded("das 天气", places, (1, 2, 0), (2, 4, 1)) == [(4, 6, "b")]


def test_bytes_of_one_character_do_not_make_two_entities():
    places = [(0, 1), (0, 2), (2, 3)]
    assert decoded("明天气", places, (0, 1, 0), (1, 3, 1)) == [(0, 1, "a")]


def test_labels_that_are_rare_with_the_likely_intents_are_less_likely():
    """The tags of label b lose log(10) with intent `greet`, which never has it in nine messages; a loses nothing."""
    decoder = EntityDecoder({**MANIFEST, "by_intent": {"greet": [9, 9, 0], "buy": [9, 9, 9]}}, ["buy", "greet"])
    logits = np.zeros((3, SCHEME.num_tags))
    greet, undecided = np.array([-40.0, 40.0]), np.zeros(2)
    lowered = decoder.adjusted(logits, greet)
    np.testing.assert_allclose(lowered[:, :5], 0.0)
    np.testing.assert_allclose(lowered[:, 5:], -math.log(10), atol=1e-6)
    expected = (math.log((9 + 0.5) / 10 / 0.5) - math.log(10)) / 2
    np.testing.assert_allclose(decoder.adjusted(logits, undecided)[:, 5:], expected, atol=1e-6)


def test_an_entity_is_found_or_not_depending_on_the_intent():
    decoder = EntityDecoder({**MANIFEST, "by_intent": {"greet": [9, 9, 0], "buy": [9, 9, 9]}}, ["buy", "greet"])
    pieces = Pieces(np.arange(3), np.array([0]), np.array([4]), np.zeros(1, bool), False)
    logits = np.zeros((1, SCHEME.num_tags))
    logits[0, SCHEME.tags([TagSpan(0, 1, 1)], 1)[0]] = 2.0  # b
    logits[0, SCHEME.tags([TagSpan(0, 1, 0)], 1)[0]] = 1.0  # a
    for intents, entity in (([9.0, -9.0], "b"), ([-9.0, 9.0], "a"), (None, "b")):
        given = None if intents is None else np.array(intents)
        assert [found.label.entity for found in decoder.decode("rome", pieces, logits, given)] == [entity]


def test_models_without_counts_or_intents_decode_tags_alone():
    logits = np.zeros((1, SCHEME.num_tags))
    assert EntityDecoder(MANIFEST, ["greet"]).adjusted(logits, np.zeros(1)) is logits
    assert EntityDecoder({**MANIFEST, "by_intent": {"greet": [9, 9, 0]}}).adjusted(logits, None) is logits


def described(count):
    return {**MANIFEST, "labels": [[f"type{number}", None, None] for number in range(count)]}


def confidences(**calibration):
    """The confidence of an entity of two wordpieces whose tags have probabilities of 0.9 and 0.6."""
    places = [(0, 2), (2, 4)]
    pieces = Pieces(np.arange(4), *np.array(places).T, np.array([False, True]), False)
    tags = SCHEME.tags([TagSpan(0, 2, 0)], 2)
    logits = np.zeros((2, SCHEME.num_tags))
    for place, (tag, probability) in enumerate(zip(tags, (0.9, 0.6))):
        logits[place, tag] = np.log(probability / (1 - probability) * (SCHEME.num_tags - 1))
    (found,) = EntityDecoder({**MANIFEST, **calibration}).decode("Rome", pieces, logits)
    return found.confidence


def test_the_confidence_is_computed_from_the_least_probable_tag():
    assert confidences() == pytest.approx(0.6)
    assert confidences(slope=0.5, intercept=1.0) == pytest.approx(1 / (1 + math.exp(-(0.5 * math.log(1.5) + 1))))
    powers = np.array([0.6, *[0.4 / (SCHEME.num_tags - 1)] * (SCHEME.num_tags - 1)]) ** 0.5
    assert confidences(temperature=2.0) == pytest.approx(powers[0] / powers.sum())  # of older models


@pytest.mark.parametrize("damaged", [{"slope": 0.0, "intercept": 0.0}, {"slope": 1.0, "intercept": math.inf}])
def test_damaged_confidences_are_refused(damaged):
    with pytest.raises(ArtifactError, match="calibration of confidences is not valid"):
        EntityDecoder({**MANIFEST, **damaged})


def test_labels_do_not_take_memory_without_limit():
    """Scores of transitions of 12,000 labels would take 18 GB, and their manifest 0.3 MB."""
    assert EntityDecoder(described(300)).scheme.num_word_tags == 1201
    with pytest.raises(ValueError, match="there are 12000 labels of entities"):
        EntityDecoder(described(12_000))
    with pytest.raises(ValueError, match="there are 1000000 intents, with 5 labels of entities"):
        EntityDecoder({**described(5), "by_intent": {"buy": [1] * 6}}, ["buy"] * 1_000_000)
