"""What a task hides of messages that are held out."""

import numpy as np
import pytest

from rasa_compressed_bert.config import BertEntityExtractorConfig
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.heads import learnt_heads
from rasa_compressed_bert.tasks import cross_fitting
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.tasks.cross_fitting import cross_fit
from rasa_compressed_bert.tasks.start import start_from_pretrained, with_heads

WORDS = "weather pizza curry spice music song food rain sun warm".split()
EXAMPLES = [Example(f"please {word} now", None, (EntitySpan(8, 7 + len(word), "inner"),)) for word in WORDS]
"""Every annotation begins and ends inside a word, which no other message has."""


@pytest.fixture
def task_of(tiny_weights):
    def make(examples):
        options = {"model_weights": str(tiny_weights), "max_length": 32, "epochs": 1, "validation_split": 0.2}
        config = BertEntityExtractorConfig.from_dict(options)
        state = start_from_pretrained(config, [example.text for example in examples])
        heads = learnt_heads(examples, config, state.tokenizer)
        return BertTask.of(examples, heads, with_heads(state, heads, config), config)

    return make


@pytest.fixture
def task(task_of):
    return task_of(EXAMPLES)


def test_words_are_not_split_where_held_out_messages_are_annotated(task):
    assert set(task.heads[0].split_points) == set(WORDS)
    blind = task.without_annotations(np.array([0, 3]))
    assert set(blind.heads[0].split_points) == set(WORDS) - {"weather", "spice"}
    same = [
        np.array_equal(task.whole_ids([before])[0], blind.whole_ids([after])[0])
        for before, after in zip(task.training.input_ids, blind.training.input_ids)
    ]
    assert same == [place not in (0, 3) for place in range(len(EXAMPLES))]


def test_whether_entities_lie_inside_words_is_not_told_by_held_out_messages(task_of):
    of_wordpieces = Example("please qqq now", None, (EntitySpan(7, 8, "inner"),))  # q ##q ##q
    task = task_of([of_wordpieces, *EXAMPLES])
    assert task.heads[0].inside_words and task.without_annotations(np.array([1])).heads[0].inside_words
    assert not task.without_annotations(np.array([0])).heads[0].inside_words


def test_a_task_without_entities_has_nothing_to_hide(configure):
    config = configure()
    examples = [Example(word, "a" if index % 2 else "b") for index, word in enumerate(WORDS)]
    state = start_from_pretrained(config, WORDS)
    intents = BertTask.of(examples, learnt_heads(examples, config, state.tokenizer), state, config)
    assert intents.without_annotations(np.array([0])) is intents


def test_models_of_cross_fitting_do_not_see_where_held_out_entities_lie(task, monkeypatch):
    """Even a model that tags every wordpiece right cannot find an entity that ends inside of one."""
    seen = []

    def fine_tuned(part, name, **options):
        seen.append(({example.text.split()[1] for example in part.examples}, set(part.heads[0].split_points)))
        return part.first_model()

    def right(model, input_ids):
        num_tags = task.heads[0].size
        held_out = [tags for tags in tags_of.pop(0) if len(tags)]
        return {"tag_logits": [10.0 * np.eye(num_tags)[np.maximum(tags, 0)] for tags in held_out]}

    tags_of, without_annotations = [], BertTask.without_annotations

    def noted(self, held_out):
        blind = without_annotations(self, held_out)
        tags_of.append([blind.training.labels["entities"][place] for place in held_out])
        return blind

    monkeypatch.setattr(BertTask, "without_annotations", noted)
    monkeypatch.setattr(cross_fitting, "fine_tune", fine_tuned)
    monkeypatch.setattr(cross_fitting, "predict", right)
    found = cross_fit(task)
    assert found.folds == 2 and all(words == cuts and len(words) == 5 for words, cuts in seen)
    assert found.score["entity_f1"] == 0.0 and found.score["loss"] < 0.01
