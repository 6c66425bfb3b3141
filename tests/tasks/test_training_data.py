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
    warn_of_data(examples, config, tokenizer=load_pretrained(str(tiny_weights)).tokenizer, max_length=8)
    assert ("have the same wordpieces" in caplog.text) == warned
