"""`JointBertClassifier`: intent and entities of one forward pass of a fine-tuned, pruned, quantized BERT."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.components import message_io
from rasa_compressed_bert.components.artifact_component import ArtifactComponent
from rasa_compressed_bert.config import JointBertClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.runtime.message_predictor import NOTHING, MessagePredictor, Prediction


@DefaultV1Recipe.register(
    [DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR], is_trainable=True
)
class JointBertClassifier(ArtifactComponent, IntentClassifier, EntityExtractorMixin):
    """Fine-tunes one BERT on intents and entities, prunes and quantizes it, and serves it on a CPU.

    Learns either where the data has only the one. Options: see `rasa_compressed_bert.config.JointBertClassifierConfig`.
    """

    options_class = JointBertClassifierConfig
    learns = "an intent or an entity"
    predictor_class = MessagePredictor

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return JointBertClassifierConfig.default_config()

    def _examples(self, training_data: TrainingData) -> List[Example]:
        examples = message_io.entity_examples(training_data, extractor=self.name)
        return examples if any(example.intent or example.entities for example in examples) else []

    def _train(self, examples: Sequence[Example], artifact: Optional[Artifact]) -> Artifact:
        from rasa_compressed_bert.tasks import bert_training  # TensorFlow is needed here only

        return bert_training.train_or_finetune(examples, self._options, artifact)

    def _tell(self, message: Message, prediction: Optional[Prediction]) -> None:
        ranking, entities, words = prediction or NOTHING
        message_io.set_intent(message, ranking, ranking_length=self._options.ranking_length)
        message_io.add_entities(message, entities, extractor=self.name)
        message_io.add_words(message, words)
