"""Warnings of training data depend on what a component learns from it."""

import pytest

from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.tasks.training_data import warn_of_data


@pytest.mark.parametrize("selects, warned", [(True, True), (False, False)])
def test_equal_responses_are_warned_of_only_if_they_are_selected(tiny_weights, caplog, selects, warned):
    examples = [Example(text, "faq", response=f"faq/{number}") for number, text in enumerate(("ma", "má"))]
    config = PrunedBertIntentClassifierConfig.from_dict({"response_selection": selects})
    warn_of_data(examples, config, tokenizer=load_pretrained(str(tiny_weights)).tokenizer)
    assert ("have the same wordpieces" in caplog.text) == warned


def test_messages_that_differ_after_max_length_are_not_said_to_have_the_same_wordpieces(tiny_weights, caplog):
    examples = [Example("one two three " * 4 + end, end) for end in ("four", "five")]
    config = PrunedBertIntentClassifierConfig.from_dict({"max_length": 8})
    warn_of_data(examples, config, tokenizer=load_pretrained(str(tiny_weights)).tokenizer)
    assert "have the same wordpieces" not in caplog.text
