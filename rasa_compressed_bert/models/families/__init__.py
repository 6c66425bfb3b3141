"""Supported families of encoders: each is a module with a `FAMILY`, registered here under its model type."""

from __future__ import annotations

import importlib
from typing import Dict, List, Union

from rasa_compressed_bert.models.families.family import Family

_FAMILIES: Dict[str, Union[str, Family]] = {
    "bert": "rasa_compressed_bert.models.families.bert",
    "distilbert": "rasa_compressed_bert.models.families.distilbert",
    "electra": "rasa_compressed_bert.models.families.electra",
    "mpnet": "rasa_compressed_bert.models.families.mpnet",
    "roberta": "rasa_compressed_bert.models.families.roberta",
    "xlm-roberta": "rasa_compressed_bert.models.families.roberta",
    "camembert": "rasa_compressed_bert.models.families.roberta",
}


def register_family(model_type: str, family: Family) -> None:
    """Adds a family, or replaces one.

    Args:
        model_type: the value in `config.json`.
        family: maps its checkpoints to our parameters.
    """
    _FAMILIES[model_type] = family


def model_types() -> List[str]:
    """The supported model types."""
    return list(_FAMILIES)


def family_of(model_type: str) -> Family:
    """The family of a supported model type, imported on first use."""
    family = _FAMILIES[model_type]
    return importlib.import_module(family).FAMILY if isinstance(family, str) else family
