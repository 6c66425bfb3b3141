"""Responses of retrieval intents, in the format of Rasa's ResponseSelector."""

from __future__ import annotations

import json
import logging
import math
from operator import itemgetter
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence

from rasa.engine.graph import ExecutionContext
from rasa.nlu.constants import (
    RESPONSE_SELECTOR_DEFAULT_INTENT,
    RESPONSE_SELECTOR_PREDICTION_KEY,
    RESPONSE_SELECTOR_PROPERTY_NAME,
    RESPONSE_SELECTOR_RANKING_KEY,
    RESPONSE_SELECTOR_RESPONSES_KEY,
    RESPONSE_SELECTOR_RETRIEVAL_INTENTS,
    RESPONSE_SELECTOR_UTTER_ACTION_KEY,
)
from rasa.shared.nlu.constants import INTENT, INTENT_RESPONSE_KEY, PREDICTED_CONFIDENCE_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.nlu.training_data.util import intent_response_key_to_template_key
from rasa.utils.tensorflow.constants import RETRIEVAL_INTENT

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import IntentConfig
from rasa_compressed_bert.data.example import retrieval_intent
from rasa_compressed_bert.data.warnings import listed
from rasa_compressed_bert.runtime.decoders import RESPONSES
from rasa_compressed_bert.runtime.message_predictor import Prediction
from rasa_compressed_bert.runtime.ranking import Ranking

logger = logging.getLogger(__name__)
TEMPLATES = "response_templates"
"""The manifest entry with the responses of the training data, by the action that utters them."""
_SELECTOR = "ResponseSelector"
_OF_JSON = (str, int, float, bool, type(None))

Templates = Mapping[str, Sequence[Mapping[str, Any]]]


def with_templates(artifact: Artifact, training_data: TrainingData) -> Artifact:
    """An artifact with the texts of each response that it was trained on, as JSON values."""
    if RESPONSES not in artifact.manifest:
        return artifact
    actions = map(intent_response_key_to_template_key, artifact.manifest[RESPONSES]["labels"])
    known = {action: training_data.responses[action] for action in actions if training_data.responses.get(action)}
    templates = json.loads(json.dumps(_in_json(known)))  # ruamel has its own strings and numbers
    return Artifact({**artifact.manifest, TEMPLATES: templates}, artifact.files)


def _in_json(value: Any) -> Any:
    """A value of YAML with what JSON lacks as text, such as dates, also as keys, and infinite numbers."""
    if isinstance(value, dict):
        return {key if isinstance(key, _OF_JSON) else str(key): _in_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_json(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, _OF_JSON) else str(value)


class ResponseWriter:
    """Writes the property `response_selector` of messages.

    The entry of each retrieval intent ranks the responses of that intent, and the entry `default` those of all: there,
    the confidence of a response is that of its intent, normalised over the retrieval intents, times its confidence
    given the intent. There is no such entry if Rasa's components select some of the responses, as `rasa test core`
    compares messages of every retrieval intent with it, where it exists.

    Args:
        labels: the responses that the model was trained on, as intent and response key, such as `faq/ask_name`.
        templates: what the bot says, by action; a response without an entry is represented by its name.
        left_out: retrieval intents whose responses are selected by components of Rasa.
        ranking_length: maximum number of responses in a ranking; 0 for all.
    """

    def __init__(self, labels: Sequence[str], templates: Templates, *, left_out: Collection[str], ranking_length: int):
        self._retrieval_intents = list(dict.fromkeys(map(retrieval_intent, labels)))
        self._templates, self._left_out, self._ranking_length = templates, left_out, ranking_length or None
        self._selects_all = not set(self._retrieval_intents) & set(left_out)

    def write(self, message: Message, prediction: Prediction) -> None:
        """Adds entries to a message, and keeps those of other selectors unchanged.

        Args:
            message: the message; its property `response_selector` is set.
            prediction: the prediction for its text; without any, no retrieval intent has an entry.
        """
        found: Mapping[str, Ranking] = prediction.found.get(RESPONSES, {})
        own = {intent: ranking for intent, ranking in found.items() if intent not in self._left_out}
        before: Dict[str, Any] = message.get(RESPONSE_SELECTOR_PROPERTY_NAME, {})
        named = [*before.get(RESPONSE_SELECTOR_RETRIEVAL_INTENTS, ()), *self._retrieval_intents]
        entries = {intent: self._entry(ranking) for intent, ranking in own.items() if intent not in before}
        if own and self._selects_all and RESPONSE_SELECTOR_DEFAULT_INTENT not in before:
            confidences = dict(prediction.ranking)
            entries[RESPONSE_SELECTOR_DEFAULT_INTENT] = self._entry(_of_all(own, confidences))
        properties = {**before, RESPONSE_SELECTOR_RETRIEVAL_INTENTS: list(dict.fromkeys(named)), **entries}
        message.set(RESPONSE_SELECTOR_PROPERTY_NAME, properties, add_to_output=True)

    def _entry(self, ranking: Ranking) -> Dict[str, Any]:
        name, confidence = ranking[0]
        action = intent_response_key_to_template_key(name)
        return {
            RESPONSE_SELECTOR_PREDICTION_KEY: {
                RESPONSE_SELECTOR_RESPONSES_KEY: self._templates.get(action) or [{TEXT: name}],
                PREDICTED_CONFIDENCE_KEY: confidence,
                INTENT_RESPONSE_KEY: name,
                RESPONSE_SELECTOR_UTTER_ACTION_KEY: action,
            },
            RESPONSE_SELECTOR_RANKING_KEY: [
                {PREDICTED_CONFIDENCE_KEY: confidence, INTENT_RESPONSE_KEY: name}
                for name, confidence in ranking[: self._ranking_length]
            ],
        }


def _of_all(rankings: Mapping[str, Ranking], confidences: Mapping[str, float]) -> Ranking:
    """The responses of all retrieval intents, best first: `p(i) p(y | i) / sum_j p(j)`."""
    if len(rankings) == 1:
        return next(iter(rankings.values()))
    total = sum(confidences[intent] for intent in rankings)
    shares = {intent: confidences[intent] / total if total else 1.0 / len(rankings) for intent in rankings}
    joined = [(name, shares[intent] * value) for intent, ranking in rankings.items() for name, value in ranking]
    return sorted(joined, key=itemgetter(1), reverse=True)


def writer_of(
    artifact: Optional[Artifact], execution_context: ExecutionContext, *, ranking_length: int, component: str
) -> Optional[ResponseWriter]:
    """The response writer of a model; None if it has no responses, or if a ResponseSelector selects all of them.

    Args:
        artifact: the artifact of the model; None for an untrained component.
        execution_context: context with the graph that the component is loaded into.
        ranking_length: maximum number of responses in a ranking; 0 for all.
        component: name of the component.
    """
    if artifact is None or RESPONSES not in artifact.manifest:
        return None
    selectors = _selectors(execution_context)
    if None in selectors:
        logger.warning(
            f"The pipeline has a {_SELECTOR} for all retrieval intents, and {component} leaves responses to it. "
            f"Remove {_SELECTOR} from the pipeline, or set its retrieval_intent, or set response_selection: false."
        )
        return None
    labels, templates = artifact.manifest[RESPONSES]["labels"], artifact.manifest.get(TEMPLATES, {})
    left_out = [intent for intent in selectors if intent is not None]
    return ResponseWriter(labels, templates, left_out=left_out, ranking_length=ranking_length)


def _selectors(execution_context: ExecutionContext) -> List[Optional[str]]:
    """The retrieval intent of each of Rasa's ResponseSelectors in the graph; None for one that selects for all."""
    nodes = execution_context.graph_schema.nodes.values()
    return [node.config.get(RETRIEVAL_INTENT) or None for node in nodes if node.uses.__name__ == _SELECTOR]


def _others_select(execution_context: ExecutionContext) -> bool:
    """Whether another component of ours in the graph selects responses; a student may have no teacher that does."""
    others = [
        node for name, node in execution_context.graph_schema.nodes.items() if name != execution_context.node_name
    ]
    return any(
        issubclass(getattr(node.uses, "options_class", object), IntentConfig)
        and node.config.get("response_selection", True) is not False
        for node in others
    )


def warn_of_responses(
    training_data: TrainingData, manifest: Mapping[str, Any], execution_context: ExecutionContext
) -> None:
    """Warns of retrieval intents whose responses nothing selects, that lack responses, or that lack response keys.

    Args:
        training_data: what the component was trained on.
        manifest: the manifest of its artifact.
        execution_context: context with the graph that the component is trained in.
    """
    messages = training_data.response_examples
    if not messages:
        return
    if RESPONSES not in manifest:
        if not _selectors(execution_context) and not _others_select(execution_context):
            logger.warning(
                f"The training data has retrieval intents ({listed(sorted(training_data.retrieval_intents))}), and "
                "no component selects their responses. Set response_selection: true (DistilledIntentClassifier also "
                "needs another student than spacy_textcat, and a teacher that selects these responses), or add a "
                f"{_SELECTOR} to the pipeline."
            )
        return
    names = sorted({message.get(INTENT_RESPONSE_KEY) for message in messages})
    silent = [name for name in names if not training_data.responses.get(intent_response_key_to_template_key(name))]
    if silent:
        logger.warning(
            f"There are no responses for {listed(silent)}: the bot has nothing to say there. Add "
            f"{intent_response_key_to_template_key(silent[0])} to the responses of the domain, which `rasa train nlu` "
            "reads only with `--domain domain.yml`."
        )
    plain = {message.get(INTENT) for message in training_data.intent_examples if not message.get(INTENT_RESPONSE_KEY)}
    mixed = sorted(plain & training_data.retrieval_intents)
    if mixed:
        logger.warning(
            f"Some messages of the retrieval intents {listed(mixed)} have no response key, and one of the responses is "
            f"selected for them, too. Write their intent as {mixed[0]}/KEY, or rename their intent."
        )
