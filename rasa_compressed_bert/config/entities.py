"""Options of `rasa_compressed_bert.BertEntityExtractor` and `rasa_compressed_bert.JointBertClassifier`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Dict, Iterator, Union

from rasa_compressed_bert.config.bert import BertOptions
from rasa_compressed_bert.config.intent_classifier import IntentConfig
from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem

SPLIT_BY_COMMA = "split_entities_by_comma"


@dataclass(frozen=True)
class EntityConfig(BertOptions):
    """Options of components that learn entities, named as in Rasa's own components."""

    learns_entities: ClassVar[bool] = True

    BILOU_flag: bool = option(
        True,
        bool,
        help="Whether begin, inside and end of an entity have separate tags, so that two of one type may be adjacent.",
    )
    split_entities_by_comma: Union[bool, Dict[str, bool]] = option(
        True,
        dict,
        help="Whether an entity ends at a comma, unless the training data has entities of its type with commas; or a "
        f"map of types to booleans, in which the key {SPLIT_BY_COMMA} stands for all other types.",
    )

    lookups: bool = option(
        True,
        bool,
        help="Whether lookup tables and synonyms of the training data are learnt, from synthetic messages in which "
        "their values replace annotated ones, and values of tables are searched for in each message. There are at most "
        "as many synthetic messages as training messages.",
    )

    def splits(self, entity: str, *, has_commas: bool) -> bool:
        """Whether entities of a type end at a comma.

        Args:
            entity: the type.
            has_commas: whether the training data has entities of the type with commas, which turns splitting off
                unless the type has a switch of its own.
        """
        switches = self.split_entities_by_comma
        if isinstance(switches, bool):
            return switches and not has_commas
        return switches.get(entity, switches.get(SPLIT_BY_COMMA, True) and not has_commas)


@dataclass(frozen=True)
class BertEntityExtractorConfig(EntityConfig):
    """Options of the entity extractor."""

    def conflicts(self) -> Iterator[Problem]:
        """Yield the contradictions of all BERT components, and options that apply to intents only."""
        yield from super().conflicts()
        if self.pooling == "cls":
            yield Problem(
                ("pooling", "pruning.pooler"),
                "pooling: cls is for intents, and an entity extractor has none; leave pooling and pruning.pooler out",
            )


@dataclass(frozen=True)
class JointBertClassifierConfig(EntityConfig, IntentConfig):
    """Options of the classifier that finds the intent and the entities of a message in one forward pass."""

    entity_loss_weight: float = option(
        1.0, float, above=0, high=1000, help="Weight of the entity loss; that of the intent loss is 1."
    )
