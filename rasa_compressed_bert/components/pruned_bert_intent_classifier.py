"""`PrunedBertIntentClassifier`: a fine-tuned, pruned, quantized BERT as a Rasa intent classifier."""

from __future__ import annotations

from typing import Any, Dict

from rasa.engine.recipes.default_recipe import DefaultV1Recipe

from rasa_compressed_bert.components.artifact_component import ArtifactIntentClassifier
from rasa_compressed_bert.components.extractors import selects_responses
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig


@selects_responses
@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class PrunedBertIntentClassifier(ArtifactIntentClassifier):
    """Fine-tunes BERT on the intents, prunes and quantizes it, and serves it on a CPU.

    Options: see `rasa_compressed_bert.config.PrunedBertIntentClassifierConfig`.
    """

    options_class = PrunedBertIntentClassifierConfig

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return PrunedBertIntentClassifierConfig.default_config()
