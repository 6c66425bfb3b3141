"""Heads from outside the package, such as that of the recipe in CONTRIBUTING.md."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import tensorflow as tf
from task_harness import EXAMPLES, accuracy

from rasa_compressed_bert import heads
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.heads import Head, heads_of, register_head, require_registered
from rasa_compressed_bert.heads.intent import MeasuredIntents
from rasa_compressed_bert.heads.message import MessageHead
from rasa_compressed_bert.models import head_layer
from rasa_compressed_bert.models.head_layer import HeadLayer
from rasa_compressed_bert.tasks.bert_training import finetune_bert, train_bert
from rasa_compressed_bert.tasks.cross_fitted import CrossFitted, cross_fitted_of
from rasa_compressed_bert.training.linear_probe import linear_probe
from rasa_compressed_bert.training.scores import Score

TOPICS = ("hot", "loud")


@dataclass(frozen=True)
class MeasuredTones:
    score: Score
    temperature: float


class ToneHead(MessageHead):
    """A head whose measured values have the same names as those of the intents."""

    name, layer = "tones", HeadLayer("tone", output="tone_logits")

    @staticmethod
    def label_of(example):
        return "long" if len(example.text) > 20 else "short"

    @classmethod
    def measured_from(cls, values):
        return MeasuredTones(Score(), **values)


class TopicHead(Head):
    """A head with several labels per message."""

    name, layer = "topics", HeadLayer("topic", output="topic_logits")
    label_names, size = TOPICS, len(TOPICS)

    @classmethod
    def is_asked_for(cls, config):
        return True

    @classmethod
    def learnt_from(cls, examples, config, tokenizer, *, before=None):
        return cls()

    @classmethod
    def from_manifest(cls, manifest):
        return cls() if "topics" in manifest else None

    def to_manifest(self, measured):
        return {"topics": list(TOPICS)}

    def encode(self, examples, pieces):
        found = [["spice" in example.intent, "music" in example.intent] for example in examples]
        return np.array(found, np.float32)

    def losses(self, logits, labels, loss, soft_targets):
        each = tf.nn.sigmoid_cross_entropy_with_logits(tf.maximum(labels, 0.0), logits)
        return tf.reduce_sum(tf.where(labels >= 0, each, 0.0), axis=-1)

    def score(self, logits, labels, continues):
        return Score(f1={"topics_right": float(np.mean((logits > 0) == (labels > 0)))})

    def probe(self, inputs, labels, *, seed):
        found = [linear_probe(inputs, column.astype(int), 2, seed=seed) for column in labels.T]
        kernels, biases = zip(*found)
        return np.diff(kernels)[..., 0].T, np.diff(biases)[..., 0]


@pytest.fixture(autouse=True)
def registries():
    """Restores the registries after each test."""
    lists = (heads._HEADS, head_layer.LAYERS)
    before = [list(names) for names in lists]
    yield
    for names, kept in zip(lists, before):
        names[:] = kept


@pytest.mark.slow
def test_several_labels_of_each_message(configure):
    register_head(TopicHead)
    pruning = {"final_sparsity": 0.3}
    artifact = train_bert(EXAMPLES, configure(pruning=pruning, distillation={"synthetic_messages": 1}, epochs=8))
    assert artifact.manifest["topics"] == list(TOPICS) and "topic_logits" in artifact.manifest["outputs"]
    assert artifact.manifest["training_scores"]["final"]["topics_right"] > 0.9
    assert artifact.manifest["parity"]["topics"]["decisively_changed"] == 0
    assert accuracy(artifact) > 0.6


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_a_head_that_is_not_registered_is_not_dropped_by_finetuning(configure):
    config = configure(pruning={"method": "none"}, epochs=1)
    register_head(ToneHead)
    artifact = train_bert(EXAMPLES, config)
    assert finetune_bert(EXAMPLES, config, artifact).manifest["tones"] == ["long", "short"]
    heads._HEADS.remove(ToneHead)
    with pytest.raises(DataError, match="not registered: tone_logits. Import the module"):
        finetune_bert(EXAMPLES, config, artifact)


def test_artifacts_without_other_heads_are_trained_further():
    for outputs in ({}, {"outputs": ["logits", "features"]}, {"outputs": ["logits"]}):  # version 2 has no outputs
        require_registered({"labels": ["a", "b"], **outputs})


def test_heads_that_measure_values_of_one_name_do_not_overwrite_each_other():
    register_head(ToneHead)
    intents = MeasuredIntents(Score(), accuracies={"head": 0.8, "refit": 0.9}, temperature=2.0)
    found = CrossFitted(8, 2, {"loss": 0.5}, {"intents": intents, "tones": MeasuredTones(Score(), 3.0)})
    manifest = {"labels": ["a", "b"], "tones": ["long", "short"], "cross_fitted": found.to_dict()}
    assert len(heads_of(manifest)) == 2
    read = cross_fitted_of(Artifact(manifest, {}))
    assert read == found and read.voting.temperature == 2.0
    unmeasured = replace(found, heads={"intents": intents})
    assert cross_fitted_of(Artifact({**manifest, "cross_fitted": unmeasured.to_dict()}, {})) == unmeasured
