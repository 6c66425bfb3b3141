"""Scores equal those by hand, of intents, of entities and of both."""

import numpy as np
import pytest

from rasa_compressed_bert.data.entities import EntityLabel, TagScheme, TagSpan
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.training.batches import NO_TAG, EncodedExamples
from rasa_compressed_bert.training.scores import Predictions, Score, score_of, tags_alone

SCHEME = TagScheme((EntityLabel("a"), EntityLabel("b")))


def tags_of(*spans):
    """Four wordpieces between the special ones."""
    return np.concatenate([[NO_TAG], SCHEME.tags(spans, 4), [NO_TAG]]).astype(np.int32)


def logits_of(tags, sure=10.0):
    return sure * np.eye(SCHEME.num_tags)[np.maximum(tags, 0)]


ANNOTATED = [tags_of(TagSpan(0, 2, 0), TagSpan(2, 3, 1)), tags_of(), tags_of(TagSpan(1, 4, 1))]
FOUND = [tags_of(TagSpan(0, 2, 0), TagSpan(2, 4, 1)), tags_of(TagSpan(0, 1, 0)), tags_of(TagSpan(1, 4, 1))]
IDS = [np.zeros(6, np.int32)] * 3


def examples(classes=(-1, -1, -1), tags=ANNOTATED):
    return EncodedExamples([IDS[0]] * len(classes), np.array(classes, np.int32), tags=tags, scheme=SCHEME)


def test_entities_by_hand():
    score = score_of(Predictions(None, [logits_of(tags) for tags in FOUND]), examples())
    assert score.entity_f1 == pytest.approx(2 * 2 / (3 + 4)), "two of four found, of three annotated"
    assert score.macro_f1 is None and score.accuracy is None and score.loss > 0


def test_intents_of_those_that_have_one():
    logits = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]))
    score = score_of(Predictions(logits, None), examples(classes=(0, 0, -1), tags=None))
    assert score.accuracy == 0.5 and score.entity_f1 is None
    assert score.loss == pytest.approx(-np.log(0.9 * 0.2) / 2)


def test_macro_f1_is_that_of_the_benchmark():
    """Over the intents of the messages: one that is predicted alone has no F1 of its own."""
    expected, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    score = score_of(Predictions(np.eye(3)[predicted], None), examples(classes=expected, tags=None))
    assert score.macro_f1 == pytest.approx((1.0 + 2 / 3) / 2)
    assert score.macro_f1 == intent_scores(expected.tolist(), predicted.tolist())["macro_f1"]


def test_losses_of_both_are_added():
    logits = np.log(np.array([[0.9, 0.1]] * 3))
    said = [logits_of(tags) for tags in FOUND]
    both = score_of(Predictions(logits, said), examples(classes=(0, 0, 0)))
    alone = score_of(Predictions(None, said), examples())
    assert both.loss == pytest.approx(alone.loss - np.log(0.9)) and both.entity_f1 == alone.entity_f1


def test_nothing_annotated_and_nothing_found_is_right():
    none = [tags_of()] * 3
    assert score_of(Predictions(None, [logits_of(tags) for tags in none]), examples(tags=none)).entity_f1 == 1.0


def test_the_better_score_has_the_better_intents_and_entities_together():
    one = Score(loss=1.0, macro_f1=0.9, accuracy=0.9, entity_f1=0.5)
    assert Score(loss=2.0, macro_f1=0.8, accuracy=0.8, entity_f1=0.7).better_than(one)
    assert Score(loss=2.0, entity_f1=0.5).better_than(Score(loss=1.0, entity_f1=0.4))
    assert not one.better_than(Score(loss=0.5, macro_f1=0.9, accuracy=0.9, entity_f1=0.5))


def test_special_wordpieces_have_no_tags():
    logits, tags = tags_alone([logits_of(own) for own in ANNOTATED], ANNOTATED)
    assert logits.shape == (12, SCHEME.num_tags) and (tags >= 0).all()
    assert [part.size for part in tags_alone([], [])] == [0, 0]
