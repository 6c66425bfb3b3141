"""Options of `rasa_compressed_bert.PrunedBertIntentClassifier`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rasa_compressed_bert.config.bert import BertConfig
from rasa_compressed_bert.config.options import option


@dataclass(frozen=True)
class PrunedBertIntentClassifierConfig(BertConfig):
    """Options of the pruned BERT intent classifier."""

    learns_intents: ClassVar[bool] = True

    ranking_length: int = option(10, int, low=0, help="Intents in the ranking of a message; 0 means all.")
