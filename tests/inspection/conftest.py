"""Answers of a model, given by a test."""

import pytest

from rasa_compressed_bert.inspection import asking
from rasa_compressed_bert.runtime.message_predictor import Prediction


@pytest.fixture
def predicted(monkeypatch):
    """Gives the components of a model answers of a test: of a text, intent, confidence and entities."""

    def use(answers):
        class Predictor:
            def predict(self, text):
                intent, confidence, *entities = answers[text]
                return Prediction({"intents": [(intent, confidence)] if intent else [], "entities": entities})

        monkeypatch.setattr(asking, "open_predictor", lambda artifact: Predictor())

    return use
