"""Rasa components that fine-tune, prune, quantize and serve BERT.

In a config.yml: `- name: rasa_compressed_bert.PrunedBertIntentClassifier`.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

_COMPONENTS = {
    "BertAnswerExtractor": "rasa_compressed_bert.components.bert_answer_extractor",
    "BertEntityExtractor": "rasa_compressed_bert.components.bert_entity_extractor",
    "DistilledIntentClassifier": "rasa_compressed_bert.components.distilled_intent_classifier",
    "JointBertClassifier": "rasa_compressed_bert.components.joint_bert_classifier",
    "PrunedBertIntentClassifier": "rasa_compressed_bert.components.pruned_bert_intent_classifier",
    "QuantizedBertFeaturizer": "rasa_compressed_bert.components.quantized_bert_featurizer",
}
__all__ = list(_COMPONENTS)
_LAZY = {
    **_COMPONENTS,
    "AnswerNaturalLanguageGenerator": "rasa_compressed_bert.components.answer_generator",  # for endpoints.yml
}


def __getattr__(name: str) -> Any:
    """Imports a component when it is accessed, as the rest of the package needs neither Rasa nor its TensorFlow."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'; its components are {', '.join(_COMPONENTS)}")
