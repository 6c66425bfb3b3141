"""Names of intents are learnt as messages if they help."""

import numpy as np
import pytest
from task_harness import EXAMPLES

from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.tasks.bert_training import finetune_bert, train_bert
from rasa_compressed_bert.tasks.intent_names import helpful_names, name_examples
from rasa_compressed_bert.tasks.start import start_from_pretrained

WORDS = "weather rain sun warm cold spicy food pizza curry table music song stop light bank card".split()


def few_messages(name_of):
    """Two messages per intent that share only its word; `name_of` makes a name with or without that word."""
    return [
        Example(text, name_of(word))
        for place, word in enumerate(WORDS)
        for text in (f"{word} {word} {word}", f"{word} {'abcdefghijklmnop'[place] * 3}")
    ]


@pytest.mark.parametrize(
    "labels, texts, names",
    [
        (["book_flight", "faq/askOpeningHours"], [], ["book flight", "faq ask Opening Hours"]),
        (["faq_1", "faq_2", "42", "_"], [], []),
        (["goodbye", "greet"], ["Goodbye "], ["greet"]),
        (["book_flight", "greet"], ["book  flight"], ["greet"]),
        (["问候", "don't_know"], [], ["问候", "don't know"]),
        (
            ["किताब_खोजें", "ถามเวลาเปิด", "می\u200cخواهم", "přidatÚčet"],
            [],
            ["किताब खोजें", "ถามเวลาเปิด", "می\u200cخواهم", "přidat Účet"],
        ),
    ],
    ids=[
        "words",
        "no words of their own",
        "a message already",
        "a message with other blanks",
        "other scripts",
        "marks, joiners and other capital letters",
    ],
)
def test_names_are_words(labels, texts, names):
    assert [example.text for example in name_examples(labels, texts)] == names


@pytest.fixture
def names_of(configure):
    def find(examples):
        start = start_from_pretrained(configure(), [example.text for example in examples])
        return helpful_names(examples, sorted({example.intent for example in examples}), start, seed=0)

    return find


def test_names_that_tell_intents_apart_are_learnt(names_of):
    names = names_of(few_messages(lambda word: f"{word}_{word}"))
    assert {(name.text, name.intent) for name in names} == {(f"{word} {word}", f"{word}_{word}") for word in WORDS}


def test_misleading_names_are_left_out(names_of):
    following = dict(zip(WORDS, [*WORDS[1:], WORDS[0]]))
    assert names_of(few_messages(lambda word: f"{following[word]}_{following[word]}")) == []


def test_of_many_messages_names_are_left_out(names_of):
    assert names_of(EXAMPLES * 3) == []


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_training_knows_them_and_goes_on_with_them(configure, monkeypatch):
    from rasa_compressed_bert.tasks import intent_names

    monkeypatch.setattr(intent_names, "clear_gain", lambda *_: 1)
    config = configure(epochs=1, validation_split=0.0)
    artifact = train_bert(EXAMPLES, config)
    assert artifact.manifest["num_names"] == 3
    confidences = [
        dict(MessagePredictor(artifact).predict(text).ranking)[text] for text in ("music", "spice", "weather")
    ]
    assert np.isfinite(confidences).all()
    assert finetune_bert(EXAMPLES, config, artifact).manifest["num_names"] == 3
