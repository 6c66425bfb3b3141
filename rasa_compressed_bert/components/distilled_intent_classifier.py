"""`DistilledIntentClassifier`: a small student of a fine-tuned BERT as a Rasa intent classifier."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

from rasa.engine.recipes.default_recipe import DefaultV1Recipe

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.components import config_io, resource_io
from rasa_compressed_bert.components.artifact_component import ArtifactIntentClassifier
from rasa_compressed_bert.components.extractors import selects_responses
from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import KnownValues


@selects_responses
@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class DistilledIntentClassifier(ArtifactIntentClassifier):
    """Fine-tunes BERT or takes a given teacher, and trains and serves a student that imitates it.

    Options: see `rasa_compressed_bert.config.DistilledIntentClassifierConfig`.
    """

    options_class = DistilledIntentClassifierConfig

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return DistilledIntentClassifierConfig.default_config()

    def _train(self, examples: Sequence[Example], artifact: Optional[Artifact], known: KnownValues) -> Artifact:
        from rasa_compressed_bert.tasks import distillation  # TensorFlow is needed here only

        environment_digest = config_io.environment_digest(self._options)
        return distillation.train_distilled_classifier(
            examples,
            self._options,
            cache=lambda key, make: resource_io.cached(config_io.digest(environment_digest, key), make),
            origin=artifact,
        )
