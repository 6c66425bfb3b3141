"""Options of components that learn intents, and of `rasa_compressed_bert.PrunedBertIntentClassifier`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Sequence, Tuple

from rasa_compressed_bert.config.bert import BertOptions
from rasa_compressed_bert.config.options import option, section
from rasa_compressed_bert.config.out_of_scope import OutOfScopeConfig


@dataclass(frozen=True)
class IntentConfig(BertOptions):
    """Options of a BERT that learns intents."""

    learns_intents: ClassVar[bool] = True

    ranking_length: int = option(10, int, low=0, help="Maximum number of intents in a ranking; 0 means all.")
    response_selection: bool = option(
        True,
        bool,
        help="Whether the responses of retrieval intents (faq/ask_name) are selected in the same forward pass, if "
        "the training data has such intents. If the pipeline has a ResponseSelector for a retrieval intent, its "
        "responses are left to that one.",
    )
    out_of_scope: OutOfScopeConfig = section(OutOfScopeConfig)

    def named_paths(self) -> Sequence[Tuple[str, str]]:
        """The file of messages out of scope, if there is one."""
        return [("out_of_scope.messages", self.out_of_scope.messages)] if self.out_of_scope.messages else []


@dataclass(frozen=True)
class PrunedBertIntentClassifierConfig(IntentConfig):
    """Options of the pruned BERT intent classifier."""
