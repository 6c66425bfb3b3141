"""A fixture that replaces a model's predictions by those of a test."""

import pytest

from rasa_compressed_bert.inspection import asking
from rasa_compressed_bert.runtime.message_predictor import Prediction


@pytest.fixture
def predicted(monkeypatch):
    """Replaces the predictions of a model's components: intent, confidence and entities by text."""

    def use(answers):
        class Predictor:
            def predict(self, text):
                intent, confidence, *entities = answers[text]
                return Prediction({"intents": [(intent, confidence)] if intent else [], "entities": entities})

        monkeypatch.setattr(asking, "open_predictor", lambda artifact: Predictor())

    return use
