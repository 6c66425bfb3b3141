"""What a model learns to say of a message, found in the training data or in an artifact."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

from rasa_compressed_bert.artifact.artifact import ENTITY_EXTRACTOR, INTENT_CLASSIFIER, JOINT_CLASSIFIER, Artifact
from rasa_compressed_bert.config import BertOptions, EntityConfig
from rasa_compressed_bert.data.entities import COMMA, TagScheme, entity_labels
from rasa_compressed_bert.data.example import Example, intent_labels
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.tokenization.pieces import PieceTokenizer, SplitPoints, split_points_for


@dataclass(frozen=True)
class Targets:
    """What a model says of a message.

    Attributes:
        labels: the intents; none without a classifier.
        scheme: of the tags of wordpieces; None without a tagger.
        cuts: of words that annotations begin or end in.
        inside_words: whether an entity may begin or end between the wordpieces of a word.
        comma_separated: types of entities that end at a comma: a list of them is several.
    """

    labels: Tuple[str, ...]
    scheme: Optional[TagScheme] = None
    cuts: SplitPoints = field(default_factory=dict)
    inside_words: bool = False
    comma_separated: Tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Of an artifact that says so."""
        if self.scheme is None:
            return INTENT_CLASSIFIER
        return JOINT_CLASSIFIER if self.labels else ENTITY_EXTRACTOR

    def tokenizer(self, json: str, max_length: int) -> PieceTokenizer:
        """What turns a message into the wordpieces that are tagged, see `PieceTokenizer`."""
        return PieceTokenizer(json, max_length, self.cuts)

    def to_manifest(self) -> Dict[str, Any]:
        """What an artifact says of them: `labels` and, where there are entities, `entities`."""
        if self.scheme is None:
            return {"labels": list(self.labels)}
        entities = {
            **self.scheme.to_dict(),
            "cuts": {word: list(places) for word, places in self.cuts.items()},
            "inside_words": self.inside_words,
            "comma_separated": list(self.comma_separated),
        }
        return {"labels": list(self.labels), "entities": entities}


def targets_of(
    examples: Sequence[Example], config: BertOptions, tokenizer: str, *, before: Optional[Targets] = None
) -> Targets:
    """What there is to learn of what the options ask for.

    Args:
        examples: the labelled messages.
        config: the options.
        tokenizer: the `tokenizers` library's JSON.
        before: targets of the training that goes on, whose cuts stay.

    Raises:
        DataError: if there is nothing to learn.
    """
    labels = intent_labels(examples) if config.learns_intents else ()
    entities = [example.entities for example in examples] if config.learns_entities else []
    known = entity_labels(span for spans in entities for span in spans)
    if not labels and not known:
        learnt = {"an intent": config.learns_intents, "an entity": config.learns_entities}
        wanted = [name for name, is_learnt in learnt.items() if is_learnt]
        raise DataError(f"There are no examples with {' or '.join(wanted)} to train on.")
    if not labels and config.pooling == "cls":
        raise DataError("pooling: cls is for intents, and the training data has none. Leave pooling out.")
    if not known or not isinstance(config, EntityConfig):
        return Targets(labels)
    texts = [example.text for example in examples]
    commas = {
        span.entity
        for text, spans in zip(texts, entities)
        for span in spans
        if COMMA.search(text, span.start, span.end)
    }
    types = sorted({label.entity for label in known})
    separated = [entity for entity in types if config.splits(entity, has_commas=entity in commas)]
    cuts = split_points_for(texts, entities, tokenizer, before=before.cuts if before else {})
    return Targets(labels, TagScheme(known, config.BILOU_flag), cuts, comma_separated=tuple(separated))


def labels_of(examples: Sequence[Example]) -> Tuple[str, ...]:
    """The intents of the examples.

    Raises:
        DataError: if there are none.
    """
    labels = intent_labels(examples)
    if not labels:
        raise DataError("There are no examples with an intent to train on.")
    return labels


def targets_from(artifact: Artifact) -> Targets:
    """What a trained model says."""
    labels, entities = tuple(artifact.manifest["labels"]), artifact.manifest.get("entities")
    if entities is None:
        return Targets(labels)
    return Targets(
        labels,
        TagScheme.from_dict(entities),
        entities["cuts"],
        entities["inside_words"],
        tuple(entities["comma_separated"]),
    )


def continued(before: Targets, now: Targets) -> Targets:
    """The targets of a training that goes on: those of before, and what new annotations add to how they are read.

    Raises:
        DataError: if the intents or the entities are others.
    """
    require_same_labels(before.labels, now.labels)
    require_same_labels(*(_names(targets.scheme) for targets in (before, now)), what="entities")
    separated = tuple(name for name in before.comma_separated if name in now.comma_separated)
    return replace(before, cuts=now.cuts, comma_separated=separated)


def _names(scheme: Optional[TagScheme]) -> List[str]:
    """Type, role and group, such that no two labels have one name."""
    parts = ("", ", role ", ", group ")
    labels = scheme.labels if scheme else ()
    return ["".join(f"{part}{value}" for part, value in zip(parts, label) if value) for label in labels]


def require_same_labels(before: Sequence[str], now: Sequence[str], *, what: str = "intents") -> None:
    """Refuses labels that are not those of before.

    Raises:
        DataError: with what is new and what is gone.
    """
    added, removed = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    if added or removed:
        raise DataError(
            f"The {what} are not those that the model was trained on. New: {added or 'none'}; "
            f"gone: {removed or 'none'}. Train without --finetune."
        )
