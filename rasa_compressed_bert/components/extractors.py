"""How Rasa's validator is told what our components do, so that its warnings are right.

Rasa warns of entities in the training data where the pipeline has none of the extractors of a list, and of roles and
groups where it has neither DIETClassifier nor CRFEntityExtractor. The list is open: with ours in it, Rasa rightly warns
of two extractors that do the same, too. The other pair is written into the code, so that its warning can only be
filtered by its text, as Rasa filters warnings that it expects; if the text changes, the warning is back, no more.

Two more warnings, which count Rasa's own components alone, are filtered in the same way. Warnings of ours take their
places: `response_io.warn_of_responses` that of a missing ResponseSelector, `known_values.warn_of_unused_lookups` that
of lookup tables which nothing uses.
"""

from __future__ import annotations

import warnings
from typing import TypeVar

from rasa.graph_components.validators.default_recipe_validator import TRAINABLE_EXTRACTORS

Component = TypeVar("Component", bound=type)
_ROLES_AND_GROUPS = "You have defined training data with entities that have roles/groups"
_LOOKUPS = "You have defined training data consisting of lookup tables, but your NLU configuration does not include"
_RESPONSES = "You have defined training data with examples for training a response selector"


def known_to_validator(extractor: Component) -> Component:
    """Registers an extractor that learns entities with roles and groups, and lookup tables."""
    if extractor not in TRAINABLE_EXTRACTORS:
        TRAINABLE_EXTRACTORS.append(extractor)
    for message in (_ROLES_AND_GROUPS, _LOOKUPS):
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
    return extractor


def selects_responses(classifier: Component) -> Component:
    """Filters the validator's warning that ResponseSelector is missing, which a classifier makes unnecessary."""
    warnings.filterwarnings("ignore", message=_RESPONSES, category=UserWarning)
    return classifier
