"""Scores of intents, of entities and of both equal those computed by hand."""

import numpy as np
import pytest

from rasa_compressed_bert.data.entities import EntityLabel, TagScheme, TagSpan
from rasa_compressed_bert.heads import EntityHead, IntentHead
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.training.batches import NO_LABEL, EncodedExamples
from rasa_compressed_bert.training.head import score_of
from rasa_compressed_bert.training.scores import Score, evaluate, labelled_rows

SCHEME = TagScheme((EntityLabel("a"), EntityLabel("b")))


def tags_of(*spans):
    """The tags of four wordpieces between the special ones."""
    return np.concatenate([[NO_LABEL], SCHEME.tags(spans, 4), [NO_LABEL]]).astype(np.int32)


def logits_of(tags, sure=10.0):
    return sure * np.eye(SCHEME.num_tags)[np.maximum(tags, 0)]


ANNOTATED = [tags_of(TagSpan(0, 2, 0), TagSpan(2, 3, 1)), tags_of(), tags_of(TagSpan(1, 4, 1))]
FOUND = [tags_of(TagSpan(0, 2, 0), TagSpan(2, 4, 1)), tags_of(TagSpan(0, 1, 0)), tags_of(TagSpan(1, 4, 1))]
IDS = [np.zeros(6, np.int32)] * 3


INTENTS, ENTITIES = IntentHead(("x", "y")), EntityHead(SCHEME)


def score(*, logits=None, classes=(-1, -1, -1), found=None, annotated=ANNOTATED):
    """The score of the heads whose logits, or tags, are given."""
    predictions, labels, heads = {}, {}, []
    if logits is not None:
        predictions["logits"], labels["intents"] = logits, np.array(classes, np.int32)
        heads.append(INTENTS)
    if found is not None:
        predictions["tag_logits"], labels["entities"] = [logits_of(tags) for tags in found], annotated
        heads.append(ENTITIES)
    return score_of(predictions, EncodedExamples([IDS[0]] * len(classes), labels), heads)


def test_entities_by_hand():
    found = score(found=FOUND)
    assert found.f1 == {"entity_f1": pytest.approx(2 * 2 / (3 + 4))}, "two of four found, of three annotated"
    assert found.loss > 0 and not found.others


def test_intents_of_those_that_have_one():
    found = score(logits=np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])), classes=(0, 0, -1))
    assert found.others == {"accuracy": 0.5} and set(found.f1) == {"macro_f1"}
    assert found.loss == pytest.approx(-np.log(0.9 * 0.2) / 2)


def test_no_example_with_an_intent_has_no_score():
    assert score(logits=np.zeros((3, 2))) == Score()


def test_macro_f1_is_that_of_the_benchmark():
    """It averages over the intents of the messages, without intents that are only predicted."""
    expected, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    found = score(logits=np.eye(3)[predicted], classes=expected).f1["macro_f1"]
    assert found == pytest.approx((1.0 + 2 / 3) / 2)
    assert found == intent_scores(expected.tolist(), predicted.tolist())["macro_f1"]


def test_losses_of_both_are_added():
    logits = np.log(np.array([[0.9, 0.1]] * 3))
    both, alone = score(logits=logits, classes=(0, 0, 0), found=FOUND), score(found=FOUND)
    assert both.loss == pytest.approx(alone.loss - np.log(0.9))
    assert both.f1 == {"macro_f1": 1.0, **alone.f1} and both.to_dict() == {"loss": both.loss, **both.f1, **both.others}


def test_nothing_annotated_and_nothing_found_is_right():
    assert score(found=[tags_of()] * 3, annotated=[tags_of()] * 3).f1["entity_f1"] == 1.0


def test_the_better_score_has_the_better_intents_and_entities_together():
    one = Score(1.0, {"macro_f1": 0.9, "entity_f1": 0.5})
    assert Score(2.0, {"macro_f1": 0.8, "entity_f1": 0.7}).better_than(one)
    assert Score(2.0, {"entity_f1": 0.5}).better_than(Score(1.0, {"entity_f1": 0.4}))
    assert not one.better_than(Score(0.5, {"macro_f1": 0.9, "entity_f1": 0.5}))


def test_evaluate_by_hand():
    score = evaluate(np.log(np.array([[0.5, 0.5], [0.8, 0.2], [0.1, 0.9]])), np.array([1, 0, 1]))
    assert score.others["accuracy"] == pytest.approx(2 / 3)
    assert score.f1["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert score.loss == pytest.approx(-np.log(0.5 * 0.8 * 0.9) / 3)


def test_evaluate_of_huge_logits():
    assert np.isfinite(evaluate(np.array([[1e30, 0.0]], np.float32), np.array([1])).loss)


def test_special_wordpieces_have_no_tags():
    logits, tags = labelled_rows([logits_of(own) for own in ANNOTATED], ANNOTATED, width=SCHEME.num_tags)
    assert logits.shape == (12, SCHEME.num_tags) and (tags >= 0).all()
    assert [part.size for part in labelled_rows([], [], width=3)] == [0, 0]
