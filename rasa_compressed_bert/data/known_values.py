"""Values of entities that the training data lists in addition to its messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Sequence


@dataclass(frozen=True)
class KnownValues:
    """Lookup tables and synonyms.

    Attributes:
        lookups: values by entity type.
        synonyms: canonical values by the texts that stand for them.
    """

    lookups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)


NO_VALUES = KnownValues()
