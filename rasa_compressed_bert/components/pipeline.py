"""What a component sees of the rest of config.yml, and warnings if that does not fit its own options."""

from __future__ import annotations

import logging
from typing import Any, Collection, List, Optional, Set, Tuple, Type

from rasa.core.policies.policy import Policy
from rasa.engine.graph import ExecutionContext
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.nlu.classifiers.fallback_classifier import FallbackClassifier
from rasa.nlu.classifiers.regex_message_handler import RegexMessageHandler
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.nlu.featurizers.featurizer import Featurizer
from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME
from rasa.shared.nlu.constants import INTENT
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.utils.tensorflow.constants import RETRIEVAL_INTENT

from rasa_compressed_bert.config import BertOptions, ComponentConfig
from rasa_compressed_bert.data.warnings import listed, other_weights
from rasa_compressed_bert.models.pretrained import only_language

logger = logging.getLogger(__name__)
_FALLBACK, _THRESHOLD, _DEFAULT = "FallbackClassifier", "threshold", 0.3
_NLU_FALLBACK = DEFAULT_NLU_FALLBACK_INTENT_NAME
# a node of the training graph, and its key from config.yml
_DATA_PROVIDER, _LANGUAGE = "NLUTrainingDataProvider", "language"
_TRAIN = "train"  # the method of a node that learns
_MESSAGES = "messages"  # the input that a node of the serving graph takes from the one before it
_REGEX_FEATURIZER = "RegexFeaturizer"
_LOOKUPS = "lookups"  # an option of our components that extract entities
_CRF = "CRFEntityExtractor"
_SELECTOR = "ResponseSelector"
_MANY = 5  # times the default number of epochs
_WITHOUT_DECLARING = {"RegexEntityExtractor", _CRF}
"""Components of Rasa that may use regular expressions without declaring that they need a featurizer."""


def component_names(execution_context: ExecutionContext) -> Set[str]:
    """The names of all components of the graph."""
    return {node.uses.__name__ for node in execution_context.graph_schema.nodes.values()}


def has_extractor(execution_context: ExecutionContext) -> bool:
    """Whether a component of the pipeline extracts entities; Rasa's handler of `/intent{...}` does not count."""
    uses = [node.uses for node in execution_context.graph_schema.nodes.values()]
    return any(issubclass(used, EntityExtractorMixin) and used is not RegexMessageHandler for used in uses)


def warn_of_other_threshold(options: ComponentConfig, execution_context: ExecutionContext, *, component: str) -> None:
    """Warns if the pipeline has a FallbackClassifier whose threshold is not `out_of_scope.threshold`.

    Args:
        options: options of the component.
        execution_context: context with the graph that the component is loaded into.
        component: name of the component.
    """
    ours = options.fallback_threshold
    if ours is None:
        return
    for node in execution_context.graph_schema.nodes.values():
        if node.uses.__name__ != _FALLBACK:
            continue
        threshold = node.config.get(_THRESHOLD, _DEFAULT)
        if isinstance(threshold, (int, float)) and threshold != ours:  # Rasa itself fails on another value
            logger.warning(
                f"{_FALLBACK} has the threshold {threshold:g}, but the confidences of {component} are calibrated "
                f"for {ours:g}. Set out_of_scope.threshold to {threshold:g} and train again, or the threshold of "
                f"{_FALLBACK} to {ours:g}."
            )


def warn_of_other_language(options: ComponentConfig, execution_context: ExecutionContext, *, component: str) -> None:
    """Warns if the pretrained weights support one language only, and `language` in config.yml is another one.

    Args:
        options: options of the component.
        execution_context: context with the graph that the component is trained in.
        component: name of the component.
    """
    weights, language = options.weights_to_start_from, _language(execution_context)
    theirs = only_language(weights) if weights else None
    if theirs and language and not language.lower().startswith(theirs):
        logger.warning(
            f"The language in config.yml is '{language}', but the weights '{weights}' of {component} support only "
            f"'{theirs}': {other_weights(options.weights_option, present=weights)}."
        )


def warn_of_many_epochs(options: ComponentConfig, *, component: str) -> None:
    """Warns of a number of epochs that was probably set for DIETClassifier, whose name alone was replaced.

    Args:
        options: options of the component.
        component: name of the component.
    """
    if (
        isinstance(options, BertOptions)
        and not options.learns_answers
        and options.epochs >= _MANY * type(options).epochs
    ):
        default = type(options).epochs
        logger.warning(
            f"epochs: {options.epochs} is {options.epochs // default} times the default of {component}, {default}, and "
            "training takes that many times as long. If it was set for Rasa's DIETClassifier, leave it out."
        )


def warn_of_missing_intents(intents: Collection[str], execution_context: ExecutionContext, *, component: str) -> None:
    """Warns if a component reads messages of certain intents only, and nothing before it predicts them.

    Args:
        intents: the intents.
        execution_context: context with the graph that the component is loaded into.
        component: name of the component.
    """
    nodes = execution_context.graph_schema.nodes
    node = nodes.get(execution_context.node_name or "")
    if node is None or _MESSAGES not in node.needs:
        return
    before: List[Type[Any]] = []
    while node is not None and _MESSAGES in node.needs:
        node = nodes.get(node.needs[_MESSAGES])
        before += [node.uses] if node is not None else []
    if not any(issubclass(used, IntentClassifier) for used in before):
        logger.warning(
            f"intents: {component} answers messages of certain intents, but no component before it in the pipeline "
            "predicts an intent, so it answers none. Put it after the intent classifier."
        )
    elif _NLU_FALLBACK in intents and not any(issubclass(used, FallbackClassifier) for used in before):
        logger.warning(
            f"intents: {component} answers messages of {_NLU_FALLBACK}, but no {_FALLBACK} before it in the pipeline "
            f"predicts this intent. Put it after {_FALLBACK}."
        )


def warn_of_unused(training_data: TrainingData, execution_context: ExecutionContext, *, component: str) -> None:
    """Warns of text, expressions and features that nothing in the pipeline reads; of several components the first does.

    Args:
        training_data: what the component is trained on.
        execution_context: context with the graph that the component is trained in.
        component: name of the component.
    """
    nodes = execution_context.graph_schema.nodes
    ours = [name for name, node in nodes.items() if node.fn == _TRAIN and _learns(node.uses)]
    if execution_context.node_name not in ours[1:]:
        warn_of_unused_text(training_data, execution_context)
        warn_of_unused_expressions(training_data, execution_context, component=component)
        warn_of_unused_features(training_data, execution_context, component=component)


def warn_of_unused_text(training_data: TrainingData, execution_context: ExecutionContext) -> None:
    """Warns of end-to-end stories in a pipeline without a featurizer: policies see the features of a text only.

    Where no policy is trained there are no stories, and messages without an intent are those of NLU data.

    Args:
        training_data: what the component is trained on, messages of stories included.
        execution_context: context with the graph that the component is trained in.
    """
    uses = [node.uses for node in execution_context.graph_schema.nodes.values()]
    has_policy, has_featurizer = (any(issubclass(used, kind) for used in uses) for kind in (Policy, Featurizer))
    if training_data.has_e2e_examples() and has_policy and not has_featurizer:
        logger.warning(
            "Stories have messages as text (end-to-end), but the pipeline has no featurizer, so no policy learns from "
            "that text. Add a tokenizer and a featurizer, such as WhitespaceTokenizer and "
            "rasa_compressed_bert.QuantizedBertFeaturizer, or write the stories with intents and actions."
        )


def warn_of_unused_expressions(
    training_data: TrainingData, execution_context: ExecutionContext, *, component: str
) -> None:
    """Warns of regular expressions and lookup tables that RegexFeaturizer makes features of, where nothing reads them.

    Rasa itself warns where nothing makes features of them, and of tables whose features nothing reads, unless the
    pipeline has a component of ours that extracts entities, see `extractors`.

    Args:
        training_data: with the expressions and the tables.
        execution_context: with the graph that the component is trained in.
        component: its name; it reads text alone.
    """
    names = component_names(execution_context)
    if _REGEX_FEATURIZER not in names or names & _WITHOUT_DECLARING:
        return
    nodes = execution_context.graph_schema.nodes.values()
    used, idle = _without_idle_selectors(training_data, execution_context)
    if training_data.has_e2e_examples() or any(Featurizer in one.required_components() for one in used):
        return
    switches = [node.config.get(_LOOKUPS, True) is not False for node in nodes if _learns_entities(node.uses)]
    tables = training_data.lookup_tables if switches and not any(switches) else []
    kinds = {"regular expressions": training_data.regex_features, "lookup tables": tables}
    named = {kind: listed(sorted({str(one.get("name")) for one in found})) for kind, found in kinds.items() if found}
    if named:
        logger.warning(
            f"The training data has {' and '.join(f'{kind} ({names})' for kind, names in named.items())}, but nothing "
            f"in the pipeline reads the features that {_REGEX_FEATURIZER} makes of them: {component} reads only the "
            f"text{idle}. Replace {_REGEX_FEATURIZER} with RegexEntityExtractor, which finds entities by them, or "
            "leave it out."
        )


def warn_of_unused_features(
    training_data: TrainingData, execution_context: ExecutionContext, *, component: str
) -> None:
    """Warns of featurizers whose features nothing reads, such as those that DIETClassifier had in the pipeline.

    Those of RegexFeaturizer are another warning's, see `warn_of_unused_expressions`.

    Args:
        training_data: with the end-to-end stories, whose policies read features.
        execution_context: with the graph that the component is trained in.
        component: its name; it reads text alone.
    """
    used, idle = _without_idle_selectors(training_data, execution_context)
    names = sorted({one.__name__ for one in used if issubclass(one, Featurizer)} - {_REGEX_FEATURIZER})
    reads = any(issubclass(required, Featurizer) for one in used for required in one.required_components())
    if names and not reads and _CRF not in component_names(execution_context) and not training_data.has_e2e_examples():
        logger.warning(
            f"Nothing in the pipeline reads the features of {', '.join(names)}: {component} reads only the text{idle}. "
            f"They take time for every message: leave them{f' and {_SELECTOR}' if idle else ''} out, unless stories "
            "have messages as text (end-to-end)."
        )


def _without_idle_selectors(training_data: TrainingData, execution_context: ExecutionContext) -> Tuple[List[Any], str]:
    """The components of the pipeline, except each ResponseSelector that has no retrieval intent to learn.

    Such a selector is part of Rasa's default pipeline, and reads no features.

    Returns:
        The components, and a clause of a warning that mentions the selectors left out; an empty string without any.
    """
    intents = {message.get(INTENT) for message in training_data.response_examples}
    nodes = execution_context.graph_schema.nodes.values()
    selectors = [node for node in nodes if node.uses.__name__ == _SELECTOR]
    idle = [node for node in selectors if not intents or {node.config.get(RETRIEVAL_INTENT) or None} - {*intents, None}]
    used = [node.uses for node in nodes if node not in idle]
    return used, f", and {_SELECTOR} has no retrieval intent to learn" if idle else ""


def _learns(component: Any) -> bool:
    """Whether a component is one of ours that learns from text."""
    options = getattr(component, "options_class", None)
    return options is not None and bool(options.learns_intents or options.learns_entities or options.learns_answers)


def _learns_entities(component: Any) -> bool:
    """Whether a component is one of ours that extracts entities."""
    options = getattr(component, "options_class", None)
    return options is not None and bool(options.learns_entities)


def _language(execution_context: ExecutionContext) -> Optional[str]:
    for node in execution_context.graph_schema.nodes.values():
        if node.uses.__name__ == _DATA_PROVIDER and node.config.get(_LANGUAGE):
            return str(node.config[_LANGUAGE])
    return None
