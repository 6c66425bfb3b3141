"""A split's held-out messages are neither among its training messages nor held out in another split."""

import itertools

import pytest

from rasa_compressed_bert.data.example import Example, normal_form
from rasa_compressed_bert.search.message_task import MessageTask


def splits_of(examples, tmp_path, count=9):
    """The training texts and the held-out texts of each split."""
    task = MessageTask(examples, cache=tmp_path)
    return [[{example.text for example in part} for part in task.split(split)] for split in range(count)]


def messages(sizes):
    return [Example(f"{intent} {number}", intent) for intent, size in sizes.items() for number in range(size)]


def test_splits_share_no_held_out_message(tmp_path):
    examples = messages({"a": 40, "b": 13, "c": 7, "d": 2, "alone": 1})
    splits = splits_of(examples, tmp_path)
    for training, held_out in splits:
        assert held_out and not training & held_out and len(training | held_out) == len(examples)
        assert {text.split()[0] for text in held_out} <= {text.split()[0] for text in training}
        assert 0.15 < len(held_out) / len(examples) < 0.25
    for (_, one), (_, other) in itertools.combinations(splits[:5], 2):
        assert not one & other
    own = splits[0][1]
    assert not any(own & held_out for _, held_out in splits[1:]), (
        "other splits are dealt anew, but not the search's own"
    )
    assert splits[5][1] != splits[1][1]


@pytest.mark.parametrize("sizes", [{"a": 2}, {"a": 3, "b": 1, "c": 1}, {"a": 5}], ids=str)
def test_very_few_messages(tmp_path, sizes):
    for training, held_out in splits_of(messages(sizes), tmp_path):
        assert training and held_out and not training & held_out


def test_messages_without_intents(tmp_path):
    examples = [Example(f"message {number}") for number in range(20)]
    assert [len(held_out) for _, held_out in splits_of(examples, tmp_path, count=5)] == [4] * 5


def test_no_split_learns_another_spelling_of_what_it_is_measured_on(tmp_path):
    examples = [Example(text, "say") for number in range(40) for text in (f"say {number}", f"Say  {number}")]
    examples += [Example(f"few {intent} {number}", f"few {intent}") for intent in range(40) for number in range(2)]
    for training, held_out in splits_of(examples, tmp_path):
        assert not {*map(normal_form, training)} & {*map(normal_form, held_out)}
        assert 24 <= len(held_out) <= 40
