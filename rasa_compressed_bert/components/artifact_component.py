"""Base classes of the components that train an artifact and serve it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar, Dict, List, Optional, Sequence, Type

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.components import config_io, known_values, message_io, pipeline, resource_io, response_io
from rasa_compressed_bert.config import ComponentConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import NO_VALUES, KnownValues
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.runtime.message_predictor import NOTHING, Prediction
from rasa_compressed_bert.runtime.opening import PROBE, as_artifact_error
from rasa_compressed_bert.runtime.predictors import open_predictor

logger = logging.getLogger(__name__)
_UNDER_FINETUNE = "With --finetune only epochs may change: train for more epochs, or without --finetune."


class ArtifactComponent(GraphComponent):
    """A component that trains an artifact and serves it.

    It needs no tokenizer and no featurizer in the pipeline, as it reads the text of a message. A subclass defines its
    options and what it learns, reads the training examples, and writes predictions to messages.
    """

    options_class: ClassVar[Type[ComponentConfig]]
    learns: ClassVar[str]
    advice: ClassVar[str] = ""
    """What to do if there is nothing to learn, as a sentence."""
    with_pieces: ClassVar[bool] = False
    """Whether predictions contain the wordpieces of a message, which words are made from."""

    @staticmethod
    def required_packages() -> List[str]:
        """Packages that must be installed."""
        return ["tokenizers", "onnxruntime", "safetensors"]

    @classmethod
    def fingerprint_addon(cls, config: Dict[str, Any]) -> Optional[str]:
        """Checks the options before training starts, and invalidates the cache when our code or a file changes."""
        return config_io.fingerprint(cls.options_class, config)

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ArtifactComponent:
        """An untrained component."""
        return cls(config_io.parse_config(cls.options_class, config), model_storage, resource, execution_context)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> ArtifactComponent:
        """A trained component, to serve or to train further.

        Raises:
            ComponentError: if files of the model are missing or damaged, or do not fit each other.
        """
        options = config_io.parse_config(cls.options_class, config)
        cls._warn_of_pipeline(options, execution_context)
        with config_io.shown_by_rasa():
            with as_artifact_error():
                artifact = resource_io.load(model_storage, resource)
                predictor = artifact and cls._open_predictor(artifact, options)
                component = cls(
                    options,
                    model_storage,
                    resource,
                    execution_context,
                    predictor=predictor,
                    response_writer=cls._writer_of(artifact, options, execution_context),
                )
                message_io.require_json(component.process([Message({TEXT: PROBE})]))
        return component

    def __init__(
        self,
        options: Any,
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        *,
        predictor: Any = None,
        response_writer: Optional[response_io.ResponseWriter] = None,
    ) -> None:
        self._options = options
        self._model_storage = model_storage
        self._resource = resource
        self._execution_context = execution_context
        self._predictor = predictor
        self._response_writer = response_writer

    @classmethod
    def _open_predictor(cls, artifact: Artifact, options: Any) -> Any:
        """The predictor of an artifact."""
        return open_predictor(artifact, num_threads=options.num_threads, with_pieces=cls.with_pieces)

    @classmethod
    def _writer_of(
        cls, artifact: Optional[Artifact], options: Any, context: ExecutionContext
    ) -> Optional[response_io.ResponseWriter]:
        """The writer for responses of retrieval intents; None if the component selects no responses."""
        if not options.response_selection:
            return None
        length = options.ranking_length
        return response_io.writer_of(artifact, context, ranking_length=length, component=cls.__name__)

    def train(self, training_data: TrainingData) -> Resource:
        """Trains on the NLU examples, and saves the artifact.

        Raises:
            ComponentError: if weights or another file cannot be read, or if labels changed under `--finetune`; in that
                case nothing is saved.
        """
        pipeline.warn_of_other_language(self._options, self._execution_context, component=type(self).__name__)
        pipeline.warn_of_unused(training_data, self._execution_context, component=type(self).__name__)
        pipeline.warn_of_many_epochs(self._options, component=type(self).__name__)
        examples = self._examples(training_data)
        with config_io.shown_by_rasa():
            # under `--finetune` the component is loaded before, but a loaded one keeps no files in memory
            artifact = resource_io.load(self._model_storage, self._resource) if self._predictor else None
            if self._can_learn(examples):
                try:
                    artifact = self._trained(examples, artifact, training_data)
                except ExportError as error:
                    if artifact is None:
                        raise
                    raise ExportError(f"{error} {_UNDER_FINETUNE}") from error
                if self._options.learns_intents:
                    response_io.warn_of_responses(training_data, artifact.manifest, self._execution_context)
            else:
                nothing = f"There are no examples with {self.learns}: {type(self).__name__} learns nothing."
                logger.warning(f"{nothing} {self.advice}".strip())
            resource_io.save(artifact, self._model_storage, self._resource)
        return self._resource

    def _trained(
        self, examples: Sequence[Example], artifact: Optional[Artifact], training_data: TrainingData
    ) -> Artifact:
        """Trains the artifact, shows progress, and logs a summary at the end."""
        from rasa_compressed_bert.tasks.summary import summary  # only training needs these, and TensorFlow
        from rasa_compressed_bert.tasks.watched import watched

        with watched(self._options, messages=len(examples), continued=artifact is not None):
            artifact = self._train(examples, artifact, self._known_values(training_data))
        artifact = response_io.with_templates(artifact, training_data)
        logger.info(summary(artifact, examples, component=type(self).__name__, num_threads=self._options.num_threads))
        return artifact

    @classmethod
    def _warn_of_pipeline(cls, options: Any, execution_context: ExecutionContext) -> None:
        """Warns if the options of a trained component do not fit the other components of the pipeline."""
        pipeline.warn_of_other_threshold(options, execution_context, component=cls.__name__)

    def _can_learn(self, examples: Sequence[Example]) -> bool:
        """Whether an example has a label that the component learns."""
        intents, entities = self._options.learns_intents, self._options.learns_entities
        return any(example.intent and intents or example.entities and entities for example in examples)

    @abstractmethod
    def _examples(self, training_data: TrainingData) -> List[Example]:
        """The training examples; not all need to have labels that the component learns."""

    def _known_values(self, training_data: TrainingData) -> KnownValues:
        """Lookup tables and synonyms to learn; none by default."""
        return NO_VALUES

    def _train(self, examples: Sequence[Example], artifact: Optional[Artifact], known: KnownValues) -> Artifact:
        """Trains a new artifact, or `artifact` further; by default that of a BERT."""
        from rasa_compressed_bert.tasks import bert_training  # TensorFlow is needed here only

        return bert_training.train_or_finetune(examples, self._options, artifact, known=known)

    def process(self, messages: List[Message]) -> List[Message]:
        """Writes the model's prediction for the text of each message; an empty one without a model or a text."""
        with config_io.shown_by_rasa():
            for message in messages:
                text = message.get(TEXT)
                is_read = bool(self._predictor and text and self._reads(message))
                prediction = self._predictor.predict(text) if is_read else NOTHING
                self._write_prediction(message, prediction)
                message_io.add_others(message, prediction)
                if self._response_writer:
                    self._response_writer.write(message, prediction)
        return messages

    def _reads(self, message: Message) -> bool:
        """Whether the model is run on a message with a text; true by default."""
        return True

    @abstractmethod
    def _write_prediction(self, message: Message, prediction: Prediction) -> None:
        """Writes the predicted intents, entities or answer to a message."""


class ArtifactEntityExtractor(ArtifactComponent, EntityExtractorMixin):
    """Base of components whose artifact finds the entities of a message."""

    learns = "an entity"
    with_pieces = True

    def _examples(self, training_data: TrainingData) -> List[Example]:
        names = pipeline.component_names(self._execution_context)
        return message_io.entity_examples(training_data, extractor=self.name, pipeline=names)

    def _known_values(self, training_data: TrainingData) -> KnownValues:
        if self._options.lookups:
            return known_values.read_known_values(training_data)
        known_values.warn_of_unused_lookups(training_data, pipeline.component_names(self._execution_context))
        return NO_VALUES

    def _write_prediction(self, message: Message, prediction: Prediction) -> None:
        message_io.add_entities(message, prediction.entities, extractor=self.name)
        message_io.add_words(message, prediction.pieces)


class ArtifactIntentClassifier(ArtifactComponent, IntentClassifier):
    """Base of components whose artifact predicts the intent of a message."""

    learns = "an intent"

    def _examples(self, training_data: TrainingData) -> List[Example]:
        return message_io.intent_examples(training_data)

    @cached_property
    def _is_beside_extractor(self) -> bool:
        return pipeline.has_extractor(self._execution_context)

    def _write_prediction(self, message: Message, prediction: Prediction) -> None:
        message_io.set_intent(message, prediction.ranking, ranking_length=self._options.ranking_length)
        if self._is_beside_extractor:  # some extractors, such as RegexEntityExtractor, need no tokenizer either
            message_io.add_words(message, prediction.pieces)
