"""`QuantizedBertFeaturizer`: a quantized BERT as a Rasa featurizer."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.featurizers.dense_featurizer.dense_featurizer import DenseFeaturizer
from rasa.nlu.tokenizers.tokenizer import Tokenizer
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.components import config_io, message_io, pipeline, resource_io
from rasa_compressed_bert.config import QuantizedBertFeaturizerConfig
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.opening import PROBE, as_artifact_error
from rasa_compressed_bert.runtime.word_featurizer import WordFeaturizer

_NO_WEIGHTS = "The featurizer has no weights: train the pipeline with `rasa train`."


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class QuantizedBertFeaturizer(DenseFeaturizer, GraphComponent):
    """Sets features of each word and of the whole message: the hidden states of a quantized BERT.

    It replaces `LanguageModelFeaturizer`: after a tokenizer, and before components that learn from dense features.
    Options: see `rasa_compressed_bert.config.QuantizedBertFeaturizerConfig`.
    """

    options_class = QuantizedBertFeaturizerConfig

    @classmethod
    def required_components(cls) -> List[type]:
        """Components that must come before this one in the pipeline."""
        return [Tokenizer]

    @staticmethod
    def required_packages() -> List[str]:
        """Packages that must be installed."""
        return ["tokenizers", "onnxruntime", "safetensors"]

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return QuantizedBertFeaturizerConfig.default_config()

    @classmethod
    def validate_config(cls, config: Dict[str, Any]) -> None:
        """Raises `InvalidConfigException` with every problem of the options."""
        config_io.parse_config(cls.options_class, config)

    @classmethod
    def fingerprint_addon(cls, config: Dict[str, Any]) -> Optional[str]:
        """Checks the options before training starts, and invalidates the cache when our code or the weights change."""
        return config_io.fingerprint(cls.options_class, config)

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> QuantizedBertFeaturizer:
        """A component that has no weights yet."""
        return cls(config, model_storage, resource, execution_context)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> QuantizedBertFeaturizer:
        """A component with its compressed weights.

        Raises:
            ComponentError: if files of the model are missing or damaged, or do not fit each other.
        """
        component = cls(config, model_storage, resource, execution_context)
        options = component._options
        with config_io.shown_by_rasa():
            with as_artifact_error():
                artifact = resource_io.load(model_storage, resource)
                if artifact is None:
                    raise ArtifactError(_NO_WEIGHTS)
                featurizer = WordFeaturizer(artifact, pooling=options.pooling, num_threads=options.num_threads)
                featurizer.features(*featurizer.encode_words([PROBE.split()]))
            component._featurizer = featurizer
        return component

    def __init__(
        self,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> None:
        super().__init__(execution_context.node_name, config)
        self._options = config_io.parse_config(self.options_class, config)
        self._execution_context = execution_context
        self._model_storage = model_storage
        self._resource = resource
        self._featurizer: Optional[WordFeaturizer] = None

    def train(self, training_data: TrainingData) -> Resource:
        """Compresses the pretrained weights and saves them; under `--finetune` it keeps the existing ones.

        Raises:
            ComponentError: if the weights cannot be read; in that case nothing is saved.
        """
        # TensorFlow is needed here only
        from rasa_compressed_bert.tasks.featurization import compress_encoder, warn_of_messages

        pipeline.warn_of_other_language(self._options, self._execution_context, component=type(self).__name__)
        with config_io.shown_by_rasa():
            found = list(message_io.words_to_featurize(training_data.training_examples))
            messages = [words for *_, words in found]
            intents = [message.get_full_intent() if attribute == TEXT else None for message, attribute, _ in found]
            if self._featurizer:
                artifact = resource_io.load(self._model_storage, self._resource)
            else:
                artifact = resource_io.cached(
                    config_io.compression_key(self._options, messages),
                    lambda: compress_encoder(messages, self._options),
                )
            if artifact:
                warn_of_messages(messages, intents, self._options, artifact)
            resource_io.save(artifact, self._model_storage, self._resource)
        return self._resource

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Sets the features of all training examples, the same as when serving, but computed on all cores."""
        from rasa_compressed_bert.tasks.featurization import featurize

        featurizer = self._require_featurizer()
        found = list(message_io.words_to_featurize(training_data.training_examples))
        for (message, attribute, _), features in zip(found, featurize(featurizer, [words for *_, words in found])):
            self.add_features_to_message(features.words, features.sentence, attribute, message)
        return training_data

    def process(self, messages: List[Message]) -> List[Message]:
        """Sets the features of messages, one at a time."""
        with config_io.shown_by_rasa():
            featurizer = self._require_featurizer()
            for message, attribute, words in message_io.words_to_featurize(messages):
                features = featurizer.features(*featurizer.encode_words([words]))
                self.add_features_to_message(features.words, features.sentence, attribute, message)
        return messages

    def _require_featurizer(self) -> WordFeaturizer:
        if self._featurizer is None:
            raise config_io.ComponentError(_NO_WEIGHTS)
        return self._featurizer
