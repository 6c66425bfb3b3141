"""Lookup tables in training: messages with their values are learnt, and nothing is measured on them."""

import numpy as np
import pytest

from rasa_compressed_bert.config import JointBertClassifierConfig
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import NO_VALUES, KnownValues
from rasa_compressed_bert.heads import learnt_heads
from rasa_compressed_bert.tasks import cross_fitting
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.tasks.cross_fitting import cross_fit
from rasa_compressed_bert.tasks.start import start_from_pretrained, with_heads
from rasa_compressed_bert.training.batches import NO_LABEL

pytestmark = pytest.mark.slow

KNOWN = KnownValues(lookups={"dish": ["stew", "rice and stew", "soup", "noodles"]})
WORDS = "please today now tomorrow morning evening".split()


def example_of(index):
    before = f"{WORDS[index % 6]} order number{index} a "
    dish = ("pizza", "curry")[index % 2]
    return Example(before + dish, "order" if index % 3 else "ask", (EntitySpan(len(before), len(before) + 5, "dish"),))


EXAMPLES = [example_of(index) for index in range(24)]


@pytest.fixture(scope="module")
def task_of(tiny_weights):
    def make(examples, known=KNOWN, **options):
        defaults = {"model_weights": str(tiny_weights), "epochs": 2, "max_length": 32, "validation_split": 0.1}
        config = JointBertClassifierConfig.from_dict({**defaults, **options})
        state = start_from_pretrained(config, [example.text for example in examples])
        heads = learnt_heads(examples, config, state.tokenizer)
        return BertTask.of(examples, heads, with_heads(state, heads, config), config, known=known)

    return make


def test_synthetic_messages_have_tags_and_no_intent(task_of):
    task = task_of(EXAMPLES)
    assert len(task.training) == len(task.examples) == 24 and len(task.filled) == 24
    learnt = task.with_filled()
    assert len(learnt) == 48 and list(learnt.labels["intents"][24:]) == [NO_LABEL] * 24
    for message, tags in zip(task.filled, learnt.labels["entities"][24:]):
        (span,) = message.example.entities
        pieces = len(tags) - 2
        assert (tags[1:-1] > 0).any() and tags[0] == tags[-1] == NO_LABEL
        assert span.end == len(message.example.text) and pieces > 3
    assert task_of(EXAMPLES, NO_VALUES).with_filled() is not None
    assert len(task_of(EXAMPLES, NO_VALUES).with_filled()) == 24


def test_models_of_cross_fitting_learn_nothing_of_held_out_messages(task_of, monkeypatch):
    seen, fine_tune = [], cross_fitting.fine_tune

    def noted(task, name, **options):
        seen.append(task)
        return fine_tune(task, name, **options)

    monkeypatch.setattr(cross_fitting, "fine_tune", noted)
    found = cross_fit(task_of(EXAMPLES))
    assert found.messages == 24 and len(seen) == 2
    for part in seen:
        own = {example.text for example in part.examples}
        assert part.filled and {EXAMPLES[message.source].text for message in part.filled} <= own
        assert len(part.with_filled()) == len(part.training) + len(part.filled)


def test_an_annotation_inside_of_a_word_keeps_its_bounds_in_synthetic_messages(task_of):
    """`pizzas` with the entity `pizza` makes `noodless` with the entity `noodles`."""
    examples = [
        Example(f"{word} {dish}s please", "order", (EntitySpan(len(word) + 1, len(word) + 6, "dish"),))
        for word in WORDS
        for dish in ("pizza", "curry")
    ]
    task = task_of(examples)
    tags = task.with_filled().labels["entities"][len(examples) :]
    ends = [np.flatnonzero(own > 0).max() for own in tags]
    assert all(end < len(own) - 3 for end, own in zip(ends, tags)), "the s and `please` are outside"


def test_without_entities_nothing_is_made(task_of):
    examples = [Example(example.text, example.intent) for example in EXAMPLES]
    assert task_of(examples).filled == []
