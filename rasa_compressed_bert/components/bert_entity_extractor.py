"""`BertEntityExtractor`: a fine-tuned, pruned, quantized BERT as a Rasa entity extractor."""

from __future__ import annotations

from typing import Any, Dict

from rasa.engine.recipes.default_recipe import DefaultV1Recipe

from rasa_compressed_bert.components.artifact_component import ArtifactEntityExtractor
from rasa_compressed_bert.components.extractors import known_to_rasa
from rasa_compressed_bert.config import BertEntityExtractorConfig


@known_to_rasa
@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class BertEntityExtractor(ArtifactEntityExtractor):
    """Fine-tunes BERT on the entities, prunes and quantizes it, and serves it on a CPU.

    Options: see `rasa_compressed_bert.config.BertEntityExtractorConfig`.
    """

    options_class = BertEntityExtractorConfig

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return BertEntityExtractorConfig.default_config()
