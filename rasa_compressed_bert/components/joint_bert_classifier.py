"""`JointBertClassifier`: intent and entities from one forward pass of a fine-tuned, pruned, quantized BERT."""

from __future__ import annotations

from typing import Any, Dict

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.training_data.message import Message

from rasa_compressed_bert.components import message_io
from rasa_compressed_bert.components.artifact_component import ArtifactEntityExtractor
from rasa_compressed_bert.components.extractors import known_to_rasa, selects_responses
from rasa_compressed_bert.config import JointBertClassifierConfig
from rasa_compressed_bert.runtime.message_predictor import Prediction


@known_to_rasa
@selects_responses
@DefaultV1Recipe.register(
    [DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR], is_trainable=True
)
class JointBertClassifier(ArtifactEntityExtractor, IntentClassifier):
    """Fine-tunes one BERT on intents and entities, prunes and quantizes it, and serves it on a CPU.

    If the training data has only intents or only entities, it learns these. Options: see
    `rasa_compressed_bert.config.JointBertClassifierConfig`.
    """

    options_class = JointBertClassifierConfig
    learns = "an intent or an entity"

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return JointBertClassifierConfig.default_config()

    def _write_prediction(self, message: Message, prediction: Prediction) -> None:
        super()._write_prediction(message, prediction)
        message_io.set_intent(message, prediction.ranking, ranking_length=self._options.ranking_length)
