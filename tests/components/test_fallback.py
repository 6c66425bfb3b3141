"""A FallbackClassifier with another threshold than the confidences are made for is named."""

import logging

import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema, SchemaNode
from rasa.nlu.classifiers.fallback_classifier import FallbackClassifier

from rasa_compressed_bert.components.fallback import warn_of_other_threshold
from rasa_compressed_bert.config import BertEntityExtractorConfig, PrunedBertIntentClassifierConfig


def context(*configs):
    """The graph of a pipeline with these FallbackClassifiers."""
    nodes = {
        f"run_FallbackClassifier{index}": SchemaNode({}, FallbackClassifier, "load", "process", config)
        for index, config in enumerate(configs)
    }
    return ExecutionContext(GraphSchema(nodes))


@pytest.mark.parametrize(
    "fallback, ours, warned",
    [
        ({"threshold": 0.7}, {}, True),
        ({}, {"threshold": 0.5}, True),
        ({}, {}, False),
        ({"threshold": 0.5}, {"threshold": 0.5}, False),
        ({"threshold": 0.7}, {"detector": "none"}, False),
    ],
)
def test_another_threshold_is_named(caplog, fallback, ours, warned):
    options = PrunedBertIntentClassifierConfig.from_dict({"out_of_scope": ours})
    with caplog.at_level(logging.WARNING):
        warn_of_other_threshold(options, context(fallback), component="PrunedBertIntentClassifier")
    assert bool(caplog.records) == warned
    if warned:
        assert f"threshold to {fallback.get('threshold', 0.3):g} and train again" in caplog.text


def test_nothing_is_said_without_a_fallback_or_without_intents(caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_other_threshold(PrunedBertIntentClassifierConfig.from_dict({}), context(), component="any")
        warn_of_other_threshold(BertEntityExtractorConfig.from_dict({}), context({"threshold": 0.7}), component="any")
    assert not caplog.records
