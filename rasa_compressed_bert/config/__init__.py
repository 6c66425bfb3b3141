"""Options of the components: defaults, types and validation, with one frozen dataclass per section."""

from typing import Union

from rasa_compressed_bert.config.answers import BertAnswerExtractorConfig
from rasa_compressed_bert.config.augmentation import AugmentationConfig
from rasa_compressed_bert.config.bert import BertOptions
from rasa_compressed_bert.config.budget import BudgetConfig
from rasa_compressed_bert.config.component import ComponentConfig
from rasa_compressed_bert.config.distillation import DistillationConfig, StudentDistillationConfig
from rasa_compressed_bert.config.distilled_classifier import DistilledIntentClassifierConfig
from rasa_compressed_bert.config.encoder import DEFAULT_VOCABULARY_SIZE, LARGE_VOCABULARY, EncoderConfig
from rasa_compressed_bert.config.entities import BertEntityExtractorConfig, EntityConfig, JointBertClassifierConfig
from rasa_compressed_bert.config.featurizer import QuantizedBertFeaturizerConfig
from rasa_compressed_bert.config.intent_classifier import IntentConfig, PrunedBertIntentClassifierConfig
from rasa_compressed_bert.config.options import Option, declared_options, option, options_of, section, sections_of
from rasa_compressed_bert.config.out_of_scope import OutOfScopeConfig
from rasa_compressed_bert.config.problems import Problem, shown
from rasa_compressed_bert.config.pruning import PruningConfig
from rasa_compressed_bert.config.quantization import QuantizationConfig
from rasa_compressed_bert.config.student import (
    Student,
    StudentConfig,
    register_student,
    student_of,
    student_options,
)
from rasa_compressed_bert.config.teacher import TeacherConfig

TrainedConfig = Union[BertOptions, DistilledIntentClassifierConfig]
"""Options of a component that learns intents or entities."""

__all__ = [
    "AugmentationConfig",
    "BertAnswerExtractorConfig",
    "BertOptions",
    "BertEntityExtractorConfig",
    "BudgetConfig",
    "ComponentConfig",
    "DEFAULT_VOCABULARY_SIZE",
    "DistillationConfig",
    "DistilledIntentClassifierConfig",
    "EncoderConfig",
    "EntityConfig",
    "IntentConfig",
    "LARGE_VOCABULARY",
    "JointBertClassifierConfig",
    "Option",
    "OutOfScopeConfig",
    "Problem",
    "PrunedBertIntentClassifierConfig",
    "PruningConfig",
    "QuantizationConfig",
    "QuantizedBertFeaturizerConfig",
    "Student",
    "StudentConfig",
    "StudentDistillationConfig",
    "TeacherConfig",
    "TrainedConfig",
    "declared_options",
    "option",
    "options_of",
    "register_student",
    "section",
    "sections_of",
    "shown",
    "student_of",
    "student_options",
]
