"""Responses with an answer: the variables they may use, and which response is chosen."""

import asyncio

import pytest
from rasa.core.nlg import NaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

ENDPOINT = EndpointConfig(type="rasa_compressed_bert.AnswerNaturalLanguageGenerator")
FOUND = {"text": "at {nine}", "document": "hours.md", "start": 31, "end": 38, "confidence": 0.83}
DOMAIN = Domain.from_yaml(
    """
version: "3.1"
slots:
  guest: {type: text, mappings: [{type: custom}]}
  answer: {type: text, mappings: [{type: custom}]}
responses:
  utter_answer:
  - text: "{guest}: {answer} ({answer_document}, {answer_confidence})"
    condition: [{type: slot, name: answered, value: true}]
  - text: "I don't know, {guest}."
"""
)


def said(*events):
    tracker = DialogueStateTracker.from_events("guest", [SlotSet("guest", "Ada"), *events], DOMAIN.slots)
    generator = NaturalLanguageGenerator.create(ENDPOINT, DOMAIN)
    return asyncio.run(generator.generate("utter_answer", tracker, "rest"))["text"]


@pytest.mark.parametrize(
    ("parse_data", "expected"),
    [
        ({"answer": FOUND}, "Ada: at {nine} (hours.md, 0.83)"),
        ({"answer": None}, "I don't know, Ada."),
        ({}, "I don't know, Ada."),
        ({"answer": "a text of another component"}, "I don't know, Ada."),
    ],
)
def test_responses_with_and_without_an_answer(parse_data, expected):
    assert said(UserUttered("when", parse_data=parse_data)) == expected


def test_only_the_answer_to_the_last_message_counts():
    assert said(UserUttered("when", parse_data={"answer": FOUND}), UserUttered("who")) == "I don't know, Ada."


def test_before_a_message_there_is_no_answer():
    assert said() == "I don't know, Ada."


def test_a_slot_of_the_bot_that_an_answer_hides_is_named_once(caplog):
    generator = NaturalLanguageGenerator.create(ENDPOINT, DOMAIN)
    for value in (None, "blue", "red"):
        tracker = DialogueStateTracker.from_events("guest", [SlotSet("answer", value)], DOMAIN.slots)
        asyncio.run(generator.generate("utter_answer", tracker, "rest"))
    (warning,) = caplog.messages
    assert warning.startswith("Slots that responses cannot use: answer.")
