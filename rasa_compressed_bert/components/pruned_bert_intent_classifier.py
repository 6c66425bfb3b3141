"""`PrunedBertIntentClassifier`: a fine-tuned, pruned, quantized BERT as a Rasa intent classifier."""

from __future__ import annotations

import logging
from typing import Any, Dict, List, Optional

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.components import config_io, message_io, resource_io
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.runtime.intent_predictor import IntentPredictor

logger = logging.getLogger(__name__)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class PrunedBertIntentClassifier(GraphComponent, IntentClassifier):
    """Fine-tunes BERT on the intents, prunes and quantizes it, and serves it on a CPU.

    Needs no tokenizer and no featurizer in the pipeline: it reads the text of a message. Options: see
    `rasa_compressed_bert.config.PrunedBertIntentClassifierConfig`.
    """

    @staticmethod
    def required_packages() -> List[str]:
        """Packages that must be installed."""
        return ["tokenizers", "onnxruntime", "safetensors"]

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return PrunedBertIntentClassifierConfig.default_config()

    @classmethod
    def fingerprint_addon(cls, config: Dict[str, Any]) -> Optional[str]:
        """Checks the options before anything trains, and renews the cache when our code or the weights change."""
        return config_io.fingerprint(PrunedBertIntentClassifierConfig, config)

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> PrunedBertIntentClassifier:
        """An untrained component."""
        options = config_io.parse_config(PrunedBertIntentClassifierConfig, config)
        return cls(options, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> PrunedBertIntentClassifier:
        """A trained component, to serve or to train further.

        Raises:
            ComponentError: if a file of the model is missing or damaged.
        """
        options = config_io.parse_config(PrunedBertIntentClassifierConfig, config)
        with config_io.shown_by_rasa():
            artifact = resource_io.load(model_storage, resource)
            predictor = artifact and IntentPredictor(artifact, num_threads=options.num_threads)
        return cls(options, model_storage, resource, predictor=predictor)

    def __init__(
        self,
        options: PrunedBertIntentClassifierConfig,
        model_storage: ModelStorage,
        resource: Resource,
        *,
        predictor: Optional[IntentPredictor] = None,
    ) -> None:
        self._options = options
        self._model_storage = model_storage
        self._resource = resource
        self._predictor = predictor

    def train(self, training_data: TrainingData) -> Resource:
        """Trains on the NLU examples that have an intent, and saves the artifact.

        Raises:
            ComponentError: if the weights cannot be read, or labels changed under `--finetune`; nothing is saved then.
        """
        from rasa_compressed_bert.tasks import intent_classification  # TensorFlow is needed here only

        examples = message_io.intent_examples(training_data)
        with config_io.shown_by_rasa():
            # `--finetune` loads a component before it trains it; serving keeps none of the files in memory
            artifact = resource_io.load(self._model_storage, self._resource) if self._predictor else None
            if not examples:
                logger.warning("There are no examples with an intent: PrunedBertIntentClassifier learns nothing.")
            elif artifact is None:
                artifact = intent_classification.train_intent_classifier(examples, self._options)
            else:
                artifact = intent_classification.finetune_intent_classifier(examples, self._options, artifact)
        resource_io.save(artifact, self._model_storage, self._resource)
        return self._resource

    def process(self, messages: List[Message]) -> List[Message]:
        """Sets `intent` and `intent_ranking`; without a model, or without text, the intent is None."""
        for message in messages:
            text = message.get(TEXT)
            ranking = self._predictor.predict(text) if self._predictor and text else []
            message_io.set_intent(message, ranking, ranking_length=self._options.ranking_length)
        return messages
