"""Fixture of the tasks' tests: options with which tiny weights train within seconds."""

import pytest

from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig


@pytest.fixture(scope="session")
def configure(tiny_weights):
    def build(**options):
        defaults = {"epochs": 3, "batch_size": 16, "learning_rate": 0.003, "max_length": 32, "validation_split": 0.0}
        return PrunedBertIntentClassifierConfig.from_dict({"model_weights": str(tiny_weights), **defaults, **options})

    return build
