"""`BertEntityExtractor`: a fine-tuned, pruned, quantized BERT as a Rasa entity extractor."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.components import message_io
from rasa_compressed_bert.components.artifact_component import ArtifactComponent
from rasa_compressed_bert.config import BertEntityExtractorConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.runtime.message_predictor import NOTHING, MessagePredictor, Prediction


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class BertEntityExtractor(ArtifactComponent, EntityExtractorMixin):
    """Fine-tunes BERT on the entities, prunes and quantizes it, and serves it on a CPU.

    Options: see `rasa_compressed_bert.config.BertEntityExtractorConfig`.
    """

    options_class = BertEntityExtractorConfig
    learns = "an entity"
    predictor_class = MessagePredictor

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return BertEntityExtractorConfig.default_config()

    def _examples(self, training_data: TrainingData) -> List[Example]:
        examples = message_io.entity_examples(training_data, extractor=self.name)
        return examples if any(example.entities for example in examples) else []

    def _train(self, examples: Sequence[Example], artifact: Optional[Artifact]) -> Artifact:
        from rasa_compressed_bert.tasks import bert_training  # TensorFlow is needed here only

        return bert_training.train_or_finetune(examples, self._options, artifact)

    def _tell(self, message: Message, prediction: Optional[Prediction]) -> None:
        _, entities, words = prediction or NOTHING
        message_io.add_entities(message, entities, extractor=self.name)
        message_io.add_words(message, words)
