"""Options of Rasa's own components that a config.yml may still contain, and what to do with them."""

from __future__ import annotations

from typing import Any, Collection, Dict, Mapping, Optional, Tuple

_OPTIONS: Dict[str, Tuple[str, ...]] = {
    "DIETClassifier": (
        *("batch_strategy", "checkpoint_model", "concat_dimension", "connection_density", "constrain_similarities"),
        *("dense_dimension", "drop_rate", "drop_rate_attention", "drop_small_last_batch", "embedding_dimension"),
        *("entity_recognition", "evaluate_every_number_of_epochs", "evaluate_on_number_of_examples", "featurizers"),
        *("hidden_layers_sizes", "intent_classification", "loss_type", "max_relative_position", "model_confidence"),
        *("maximum_negative_similarity", "maximum_positive_similarity", "negative_margin_scale"),
        *("number_of_attention_heads", "number_of_negative_examples", "number_of_transformer_layers"),
        *("regularization_constant", "renormalize_confidences", "run_eagerly", "scale_loss", "share_hidden_layers"),
        *("similarity_type", "tensorboard_log_directory", "tensorboard_log_level", "transformer_size"),
        *("unidirectional_encoder", "use_dense_input_dropout", "use_key_relative_attention"),
        *("use_masked_language_model", "use_maximum_negative_similarity", "use_sparse_input_dropout"),
        "use_value_relative_attention",
    ),
    "ResponseSelector": ("retrieval_intent", "use_text_as_label"),
    "CRFEntityExtractor": ("L1_c", "L2_c", "features", "max_iterations"),
    "LanguageModelFeaturizer": ("cache_dir", "model_name"),
    "SklearnIntentClassifier": ("C", "gamma", "kernels", "max_cross_validation_folds", "scoring_function"),
    "LogisticRegressionClassifier": ("max_iter", "random_state", "solver", "tol"),
    "RegexEntityExtractor": ("case_sensitive", "use_lookup_tables", "use_regexes", "use_word_boundaries"),
    "SpacyEntityExtractor": ("dimensions",),
}
_TOO_HIGH = ("epochs", "learning_rate")
"""Options that both have; those of DIETClassifier have values that are too high for a BERT."""
_SWITCHES = (
    "PrunedBertIntentClassifier learns intents, BertEntityExtractor learns entities, and JointBertClassifier both"
)
_INSTEAD = {
    "entity_recognition": _SWITCHES,
    "intent_classification": _SWITCHES,
    "model_name": "model_weights alone chooses the weights",
}


def advice(name: str) -> Optional[str]:
    """Return which component of Rasa has an option of this name, and what to do instead; None if none has."""
    for component, names in _OPTIONS.items():
        if name in names:
            instead = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
            return f"it is an option of Rasa's {component}: leave it out{instead}"
    return None


def advice_on_value(name: str, value: Any) -> Optional[str]:
    """Return what to do with a value that only Rasa's option of the same name accepts; None for other values."""
    if name == "batch_size" and isinstance(value, (list, tuple)):
        return "batches do not grow in training, unlike those of Rasa's DIETClassifier; give one number or leave it out"
    return None


def advice_on_shared_options(
    unknown: Collection[str], own: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Dict[str, str]:
    """Return what to do with options of a component that were probably set for DIETClassifier, by name.

    Args:
        unknown: names of options that the component lacks; those of DIETClassifier show that they were set for it.
        own: values of the options of the component.
        defaults: their default values.
    """
    if not set(_OPTIONS["DIETClassifier"]).intersection(unknown):
        return {}
    return {
        name: f"{own[name]} is far too high for a BERT if it was set for Rasa's DIETClassifier: leave it out"
        for name in _TOO_HIGH
        if defaults.get(name) is not None and own[name] > defaults[name]
    }
