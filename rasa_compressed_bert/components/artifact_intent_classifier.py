"""What the intent classifiers share as Rasa components."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any, ClassVar, Dict, List, Optional, Sequence, Type

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.components import config_io, message_io, resource_io
from rasa_compressed_bert.config import ComponentConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.runtime.predictors import Predictor, open_predictor

logger = logging.getLogger(__name__)


class ArtifactIntentClassifier(GraphComponent, IntentClassifier):
    """An intent classifier that trains an artifact and serves it.

    Needs no tokenizer and no featurizer in the pipeline: it reads the text of a message. A component says which options
    it has, and trains.
    """

    options_class: ClassVar[Type[ComponentConfig]]

    @staticmethod
    def required_packages() -> List[str]:
        """Packages that must be installed."""
        return ["tokenizers", "onnxruntime", "safetensors"]

    @classmethod
    def fingerprint_addon(cls, config: Dict[str, Any]) -> Optional[str]:
        """Checks the options before anything trains, and renews the cache when our code or a file changes."""
        return config_io.fingerprint(cls.options_class, config)

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ArtifactIntentClassifier:
        """An untrained component."""
        return cls(config_io.parse_config(cls.options_class, config), model_storage, resource)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> ArtifactIntentClassifier:
        """A trained component, to serve or to train further.

        Raises:
            ComponentError: if a file of the model is missing or damaged.
        """
        options = config_io.parse_config(cls.options_class, config)
        with config_io.shown_by_rasa():
            artifact = resource_io.load(model_storage, resource)
            predictor = artifact and open_predictor(artifact, num_threads=options.num_threads)
        return cls(options, model_storage, resource, predictor=predictor)

    def __init__(
        self,
        options: Any,
        model_storage: ModelStorage,
        resource: Resource,
        *,
        predictor: Optional[Predictor] = None,
    ) -> None:
        self._options = options
        self._model_storage = model_storage
        self._resource = resource
        self._predictor = predictor

    def train(self, training_data: TrainingData) -> Resource:
        """Trains on the NLU examples that have an intent, and saves the artifact.

        Raises:
            ComponentError: if weights or another file cannot be read, or labels changed under `--finetune`; nothing is
                saved then.
        """
        examples = message_io.intent_examples(training_data)
        with config_io.shown_by_rasa():
            # `--finetune` loads a component before it trains it; serving keeps none of the files in memory
            artifact = resource_io.load(self._model_storage, self._resource) if self._predictor else None
            if examples:
                artifact = self._train(examples, artifact)
            else:
                logger.warning(f"There are no examples with an intent: {type(self).__name__} learns nothing.")
        resource_io.save(artifact, self._model_storage, self._resource)
        return self._resource

    @abstractmethod
    def _train(self, examples: Sequence[Example], artifact: Optional[Artifact]) -> Artifact:
        """A new artifact, or one that goes on where `artifact` is."""

    def process(self, messages: List[Message]) -> List[Message]:
        """Sets `intent` and `intent_ranking`; without a model, or without text, the intent is None."""
        for message in messages:
            text = message.get(TEXT)
            ranking = self._predictor.predict(text) if self._predictor and text else []
            message_io.set_intent(message, ranking, ranking_length=self._options.ranking_length)
        return messages
