"""`BertAnswerExtractor`: a fine-tuned, pruned, quantized BERT that answers questions from documents."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Sequence

from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.components import config_io, pipeline, resource_io
from rasa_compressed_bert.components.artifact_component import ArtifactComponent
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.warnings import listed
from rasa_compressed_bert.runtime.answer_predictor import AnswerPredictor
from rasa_compressed_bert.runtime.decoders import ANSWERS
from rasa_compressed_bert.runtime.message_predictor import Prediction
from rasa_compressed_bert.runtime.opening import PROBE

logger = logging.getLogger(__name__)
ANSWER = "answer"
"""The key of a message under which its answer is, or null."""


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class BertAnswerExtractor(ArtifactComponent):
    """Fine-tunes BERT on questions about passages, prunes and quantizes it, and answers from documents on a CPU.

    Writes `answer` to every message: `{text, document, start, end, confidence}`, or null, which Rasa omits from its
    output. Options: see `rasa_compressed_bert.config.BertAnswerExtractorConfig`.
    """

    options_class = BertAnswerExtractorConfig
    learns = "an answer"
    advice = "Set training_data to questions with answers, in the format of SQuAD 2.0; documents alone are not enough."

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The options and their defaults."""
        return BertAnswerExtractorConfig.default_config()

    @staticmethod
    def required_packages() -> List[str]:
        """Packages that must be installed."""
        return [*ArtifactComponent.required_packages(), "scipy"]

    @classmethod
    def _warn_of_pipeline(cls, options: Any, execution_context: ExecutionContext) -> None:
        super()._warn_of_pipeline(options, execution_context)
        if options.intents is not None:
            pipeline.warn_of_missing_intents(options.intents, execution_context, component=cls.__name__)

    @classmethod
    def _open_predictor(cls, artifact: Artifact, options: Any) -> AnswerPredictor:
        predictor = AnswerPredictor(artifact, num_threads=options.num_threads, passages=options.passages)
        predictor.read(PROBE, PROBE)  # the base class checks with PROBE as well, but may find no similar passage
        return predictor

    def _examples(self, training_data: TrainingData) -> List[Example]:
        """None, as the questions of the option `training_data` are learnt; warns of unknown intents in the options."""
        known = {*training_data.intents, DEFAULT_NLU_FALLBACK_INTENT_NAME}  # which FallbackClassifier predicts
        unknown = sorted(set(self._options.intents or ()) - known)
        if unknown:
            logger.warning(
                f"intents: BertAnswerExtractor names intents that are not in the training data: {listed(unknown)}."
            )
        return []

    def _can_learn(self, examples: Sequence[Example]) -> bool:
        return bool(self._options.training_data)

    def _trained(
        self, examples: Sequence[Example], artifact: Optional[Artifact], training_data: TrainingData
    ) -> Artifact:
        from rasa_compressed_bert.tasks import answer_measuring, answer_training  # TensorFlow is needed here only
        from rasa_compressed_bert.tasks.watched import watched

        with watched(self._options, messages=0, continued=artifact is not None):  # there is no cross-fitting
            artifact = answer_training.train_or_finetune(self._options, artifact, cache=self._cached)
        logger.info(f"BertAnswerExtractor is trained: {answer_measuring.in_words(artifact)}.")
        return artifact

    def _cached(self, key: str, make: Callable[[], Artifact]) -> Artifact:
        """The model of a key, from Rasa's cache folder if it was trained before.

        Not for a derived component, whose package may have registered parts: no digest covers their source code.
        """
        if type(self) is not BertAnswerExtractor:
            return make()
        environment = config_io.environment_digest(replace(self._options, training_data=None, documents=None))
        return resource_io.cached(config_io.digest(environment, key), make)

    def _reads(self, message: Message) -> bool:
        """Whether a message has one of the intents that are answered."""
        intents = self._options.intents
        return intents is None or (message.get(INTENT) or {}).get(INTENT_NAME_KEY) in intents

    def _write_prediction(self, message: Message, prediction: Prediction) -> None:
        """Writes the answer, unless an earlier extractor of the pipeline has given one and is at least as certain.

        A value under this key that has no confidence, such as of a component of another package, is replaced.
        """
        answer, before = prediction.found.get(ANSWERS), message.get(ANSWER)
        confidence = before.get("confidence") if isinstance(before, dict) else None
        least = confidence if isinstance(confidence, (int, float)) else -1.0
        if before is None or (answer is not None and answer.confidence > least):
            message.set(ANSWER, None if answer is None else answer._asdict(), add_to_output=True)
