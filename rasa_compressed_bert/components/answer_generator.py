"""Responses of the domain that contain the answer to the last message, generated in Rasa's own process."""

from __future__ import annotations

import logging
from typing import Any, Dict, Optional

from rasa.core.nlg import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from rasa_compressed_bert.components.bert_answer_extractor import ANSWER
from rasa_compressed_bert.data.warnings import listed

logger = logging.getLogger(__name__)
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
        self._has_warned = False

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> Optional[Dict[str, Any]]:
        """The response of an action, see `TemplatedNaturalLanguageGenerator`."""
        slots, answer = tracker.current_slot_values(), answer_values(tracker)
        self._warn_of_hidden(slots, answer)
        return self.generate_from_slots(utter_action, {**slots, **answer}, output_channel, **kwargs)

    def _warn_of_hidden(self, slots: Dict[str, Any], answer: Dict[str, Any]) -> None:
        """Warns once of slots of the bot that responses cannot use, as values of the answer have the same names."""
        hidden = sorted(name for name in answer if slots.get(name) is not None)
        if hidden and not self._has_warned:
            self._has_warned = True
            logger.warning(
                f"Slots that responses cannot use: {listed(hidden)}. There these names stand for the answer of "
                "BertAnswerExtractor. Rename the slots."
            )


def answer_values(tracker: DialogueStateTracker) -> Dict[str, Any]:
    """The values of the answer to the last message that responses may use, by name."""
    message = tracker.latest_message
    found = message.parse_data.get(ANSWER) if message else None
    answer = found if isinstance(found, dict) else {}  # a component of another package may write another value
    return {
        ANSWERED: bool(answer),
        ANSWER: answer.get("text"),
        DOCUMENT: answer.get("document"),
        CONFIDENCE: answer.get("confidence"),
    }
