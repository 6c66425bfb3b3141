"""Responses of the domain that contain the answer to the last message, generated in Rasa's own process."""

from __future__ import annotations

from typing import Any, Dict, Optional

from rasa.core.nlg import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from rasa_compressed_bert.components.bert_answer_extractor import ANSWER

ANSWERED, DOCUMENT, CONFIDENCE = "answered", "answer_document", "answer_confidence"


class AnswerNaturalLanguageGenerator(TemplatedNaturalLanguageGenerator):
    """Rasa's response generator, with the answer to the last message as values that responses use like slots.

    These are `answered`, whether there is an answer, and `answer`, `answer_document` and `answer_confidence`, which are
    None without one. In endpoints.yml: `nlg: {type: rasa_compressed_bert.AnswerNaturalLanguageGenerator}`.

    Args:
        endpoint_config: the entry in endpoints.yml, which has no other options.
        domain: the domain, which contains the responses.
    """

    def __init__(self, endpoint_config: Optional[EndpointConfig], domain: Domain) -> None:
        super().__init__(domain.responses)

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> Optional[Dict[str, Any]]:
        """The response of an action, see `TemplatedNaturalLanguageGenerator`."""
        values = {**tracker.current_slot_values(), **answer_values(tracker)}
        return self.generate_from_slots(utter_action, values, output_channel, **kwargs)


def answer_values(tracker: DialogueStateTracker) -> Dict[str, Any]:
    """The values of the answer to the last message that responses may use, by name."""
    message = tracker.latest_message
    answer = (message and message.parse_data.get(ANSWER)) or {}
    return {
        ANSWERED: bool(answer),
        ANSWER: answer.get("text"),
        DOCUMENT: answer.get("document"),
        CONFIDENCE: answer.get("confidence"),
    }
