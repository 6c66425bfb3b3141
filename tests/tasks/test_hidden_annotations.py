"""Annotations of held-out messages are hidden from training."""

from dataclasses import replace

import numpy as np
import pytest

from rasa_compressed_bert.config import (
    BertEntityExtractorConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
)
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import NO_VALUES
from rasa_compressed_bert.heads import learnt_heads
from rasa_compressed_bert.tasks import cross_fitting
from rasa_compressed_bert.tasks.cross_fitting import cross_fit
from rasa_compressed_bert.tasks.messages import without_annotations
from rasa_compressed_bert.tasks.preparation import begin, prepare, pretrained_for, with_heads
from rasa_compressed_bert.tokenization.pieces import PieceTokenizer

WORDS = "weather pizza curry spice music song food rain sun warm".split()
EXAMPLES = [Example(f"please {word} now", None, (EntitySpan(8, 7 + len(word), "inner"),)) for word in WORDS]
"""Every annotation begins and ends inside a word that no other message has."""


@pytest.fixture
def run_of(tiny_weights):
    def make(examples, **others):
        options = {"model_weights": str(tiny_weights), "max_length": 32, "epochs": 1, "validation_split": 0.2}
        config = BertEntityExtractorConfig.from_dict({**options, **others})
        pretrained = pretrained_for(examples, config)
        heads = learnt_heads(examples, config, pretrained.tokenizer)
        return begin(examples, heads, with_heads(pretrained, heads, config), config, known=NO_VALUES)

    return make


@pytest.fixture
def run(run_of):
    return run_of(EXAMPLES)


def test_words_are_not_split_where_held_out_messages_are_annotated(run):
    assert set(run.heads[0].split_points) == set(WORDS)
    blind = without_annotations(run, np.array([0, 3]))
    assert set(blind.heads[0].split_points) == set(WORDS) - {"weather", "spice"}
    same = [
        np.array_equal(*(part.vocabulary.whole([ids])[0] for part, ids in zip((run.messages, blind.messages), pair)))
        for pair in zip(run.messages.encoded.input_ids, blind.messages.encoded.input_ids)
    ]
    assert same == [place not in (0, 3) for place in range(len(EXAMPLES))]


def test_held_out_messages_do_not_reveal_entities_inside_words(run_of):
    of_wordpieces = Example("please qqq now", None, (EntitySpan(7, 8, "inner"),))  # q ##q ##q
    run = run_of([of_wordpieces, *EXAMPLES])
    assert run.heads[0].inside_words and without_annotations(run, np.array([1])).heads[0].inside_words
    assert not without_annotations(run, np.array([0])).heads[0].inside_words


def test_held_out_messages_do_not_reveal_commas_in_entities(run_of):
    """Entities of a type are split at commas unless one with a comma is in the training messages."""
    with_commas = Example("please pizza, curry now", None, (EntitySpan(7, 19, "inner"),))
    run = run_of([with_commas, *EXAMPLES])
    assert run.heads[0].comma_separated == without_annotations(run, np.array([1])).heads[0].comma_separated == ()
    assert without_annotations(run, np.array([0])).heads[0].comma_separated == ("inner",)


def test_held_out_messages_do_not_reveal_the_entities_of_an_intent(tiny_weights):
    examples = [replace(example, intent="buy" if place % 2 else "ask") for place, example in enumerate(EXAMPLES)]
    config = JointBertClassifierConfig.from_dict({"model_weights": str(tiny_weights), "max_length": 32})
    run = prepare(examples, config, known=NO_VALUES)
    assert run.heads[1].by_intent.to_dict() == {"ask": [5, 5], "buy": [5, 5]}
    assert without_annotations(run, np.array([0, 2, 3])).heads[1].by_intent.to_dict() == {"ask": [3, 3], "buy": [4, 4]}


def test_held_out_messages_do_not_reveal_transitions(run_of):
    run, edge = run_of(EXAMPLES), 5
    blind = without_annotations(run, np.array([0, 2, 3]))
    first = [
        sum(count for before, _, count in one.heads[0].transitions.counts if before == edge) for one in (run, blind)
    ]
    assert first == [len(EXAMPLES), len(EXAMPLES) - 3]


def test_without_entities_there_is_nothing_to_hide(configure):
    examples = [Example(word, "a" if index % 2 else "b") for index, word in enumerate(WORDS)]
    intents = prepare(examples, configure(), known=NO_VALUES)
    assert without_annotations(intents, np.array([0])) is intents


def test_models_of_cross_fitting_do_not_see_where_held_out_entities_lie(run, monkeypatch):
    """So even a model that tags every wordpiece correctly cannot find an entity that ends inside a wordpiece."""
    seen = []

    def fine_tuned(part, name, **options):
        words = {example.text.split()[1] for example in part.messages.examples}
        seen.append((words, set(part.heads[0].split_points)))

    def right(model, input_ids):
        num_tags = run.heads[0].size
        held_out = [tags for tags in tags_of.pop(0) if len(tags)]
        return {"tag_logits": [10.0 * np.eye(num_tags)[np.maximum(tags, 0)] for tags in held_out]}

    tags_of = []

    def noted(run, held_out, **options):
        blind = without_annotations(run, held_out, **options)
        tags_of.append([blind.messages.encoded.labels["entities"][place] for place in held_out])
        return blind

    monkeypatch.setattr(cross_fitting, "without_annotations", noted)
    monkeypatch.setattr(cross_fitting, "fit_dense", fine_tuned)
    monkeypatch.setattr(cross_fitting, "predict", right)
    found = cross_fit(run).cross_fitted
    assert found.folds == 2 and all(words == cuts and len(words) == 5 for words, cuts in seen)
    assert found.score["entity_f1"] == 0.0 and found.score["loss"] < 0.01


@pytest.mark.parametrize("is_entity_model", [False, True])
def test_a_trimmed_vocabulary_keeps_no_wordpieces_of_held_out_messages(
    run_of, monkeypatch, tiny_weights, is_entity_model
):
    """Else these would be read as they were learnt, while new messages of users are split further."""
    trimmed = {"vocabulary": "trim", "vocabulary_size": 96}
    if is_entity_model:
        run = run_of(EXAMPLES, **trimmed)
    else:
        options = {"model_weights": str(tiny_weights), "max_length": 32, "validation_split": 0.2, **trimmed}
        examples = [Example(example.text, "ab"[place % 2]) for place, example in enumerate(EXAMPLES)]
        run = prepare(examples, PrunedBertIntentClassifierConfig.from_dict(options), known=NO_VALUES)
    assert all(f'"{word}"' in run.start.tokenizer for word in WORDS)
    seen = []

    def noted(part, name, **options):
        known = [word for word in WORDS if f'"{word}"' in part.start.tokenizer]
        seen.append((known, [word for word in WORDS if f"please {word} now" in part.messages.texts]))
        vocabulary, tokenizer = (
            part.messages.vocabulary,
            PieceTokenizer(part.start.tokenizer, 32, part.heads[0].split_points),
        )
        for text, ids in zip(part.messages.texts, vocabulary.whole(part.messages.encoded.input_ids)):
            assert np.array_equal(tokenizer.encode(text).input_ids, ids)
        table = run.start.parameters["embeddings.word"]
        assert part.start.parameters["embeddings.word"].shape == table.shape
        raise StopIteration

    monkeypatch.setattr(cross_fitting, "fit_dense", noted)
    with pytest.raises(StopIteration):
        cross_fit(run)
    ((known, learnt),) = seen
    assert known == learnt and len(learnt) < len(WORDS)
