"""Registration of our components with Rasa's validator and with `rasa test`, so that warnings and reports are correct.

Rasa warns of entities in the training data if the pipeline has no extractor from a list, and of roles and groups if it
has neither DIETClassifier nor CRFEntityExtractor. The list can be extended: with our extractors in it, Rasa also warns
correctly of two extractors that do the same. The other two names are hard-coded, so that this warning can only be
filtered by its text, as Rasa filters warnings that it expects; if the text changes, the warning merely reappears.

Two more warnings, which consider only Rasa's own components, are filtered in the same way and replaced by ours: that of
a missing ResponseSelector by `response_io.warn_of_responses`, and that of unused lookup tables by
`known_values.warn_of_unused_lookups`.

`rasa test nlu` draws histograms of the confidences of entities for the extractors of another list.
"""

from __future__ import annotations

import warnings
from typing import TypeVar

from rasa.graph_components.validators.default_recipe_validator import TRAINABLE_EXTRACTORS
from rasa.nlu.test import EXTRACTORS_WITH_CONFIDENCES

Component = TypeVar("Component", bound=type)
_ROLES_AND_GROUPS = "You have defined training data with entities that have roles/groups"
_LOOKUPS = "You have defined training data consisting of lookup tables, but your NLU configuration does not include"
_RESPONSES = "You have defined training data with examples for training a response selector"


def known_to_rasa(extractor: Component) -> Component:
    """Registers an extractor that learns entities with roles and groups, and lookup tables, and gives confidences."""
    EXTRACTORS_WITH_CONFIDENCES.add(extractor.__name__)
    if extractor not in TRAINABLE_EXTRACTORS:
        TRAINABLE_EXTRACTORS.append(extractor)
    for message in (_ROLES_AND_GROUPS, _LOOKUPS):
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
    return extractor


def selects_responses(classifier: Component) -> Component:
    """Filters the validator's warning of a missing ResponseSelector, which this classifier makes unnecessary."""
    warnings.filterwarnings("ignore", message=_RESPONSES, category=UserWarning)
    return classifier
