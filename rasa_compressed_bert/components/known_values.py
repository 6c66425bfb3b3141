"""Lookup tables and synonyms of Rasa's training data."""

from __future__ import annotations

import logging
import os
import re
from typing import Collection, Dict, List, Sequence

from rasa.nlu.utils.pattern_utils import read_lookup_table_file
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.components.config_io import ComponentError
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.known_values import KnownValues
from rasa_compressed_bert.data.warnings import listed

logger = logging.getLogger(__name__)
_PATH = re.compile(r"\S+\.(txt|csv|tsv|ya?ml|json)")
_LIKE_A_PATH = re.compile(r".*[/\\].*|.*\.\w+")
_BYTE_ORDER_MARK = "\ufeff"
_USERS = {"RegexEntityExtractor", "RegexFeaturizer"}
"""Components of Rasa that use lookup tables."""


def read_known_values(training_data: TrainingData) -> KnownValues:
    """Lookup tables by entity type, including those in files, and synonyms.

    Tables of the same name are merged. Warnings list tables without values, and tables whose only value looks like the
    path of a file that does not exist. In Rasa's JSON format a table may lack a name; it is left out.

    Raises:
        ComponentError: if the file of a table cannot be read.
    """
    lookups: Dict[str, List[str]] = {}
    named = [table for table in training_data.lookup_tables if table.get("name")]
    if len(named) < len(training_data.lookup_tables):
        nameless = counted(len(training_data.lookup_tables) - len(named), "lookup table has", "lookup tables have")
        logger.warning(f"{nameless} no name, and therefore no effect: the name of a table is a type of entity.")
    for table in named:
        lookups.setdefault(table["name"], []).extend(_elements(table["name"], table.get("elements", [])))
    empty = sorted(name for name, values in lookups.items() if not values)
    if empty:
        logger.warning(f"Lookup tables without a value: {', '.join(empty)}. Add values, or remove the tables.")
    paths = [
        f"{values[0]} ({name})" for name, values in lookups.items() if len(values) == 1 and _PATH.fullmatch(values[0])
    ]
    if paths:
        logger.warning(
            f"Lookup tables have the path of a file as their only value: {listed(paths)}. There is no such file in the "
            "current folder: correct the path, or list the values in the training data."
        )
    synonyms = {str(text): str(value) for text, value in training_data.entity_synonyms.items()}
    return KnownValues({name: values for name, values in lookups.items() if values}, synonyms)


def warn_of_unused_lookups(training_data: TrainingData, pipeline: Collection[str]) -> None:
    """Warns of lookup tables that no component of the pipeline uses, for a component of ours that does not learn them.

    Args:
        training_data: training data with the tables.
        pipeline: names of the components of the pipeline.
    """
    if training_data.lookup_tables and not _USERS.intersection(pipeline):
        names = sorted({str(table.get("name")) for table in training_data.lookup_tables})
        logger.warning(
            f"The training data has lookup tables ({listed(names)}), but nothing in the pipeline uses them. Set "
            f"lookups: true, or add {' or '.join(sorted(_USERS))} to the pipeline."
        )


def _elements(name: str, elements: object) -> Sequence[str]:
    """The values of a table, from a list or from a file with one value per line.

    Where Rasa computes the fingerprint of training data, as `rasa train` does, it replaces the path of a file, also one
    in a list, with the text of that file. Without a fingerprint, the path is still there.
    """
    if isinstance(elements, list):
        if len(elements) != 1 or not os.path.isfile(str(elements[0])):
            return [str(value) for value in elements]
        elements = elements[0]
    text = str(elements)
    try:
        if os.path.isfile(text):
            values: Sequence[str] = read_lookup_table_file(text)
        elif _LIKE_A_PATH.fullmatch(text):  # also a device or a pipe, which may have no end
            raise ValueError("it is not a file")
        else:
            values = [line.strip() for line in text.split("\n") if line.strip()]
    except (ValueError, OSError) as error:
        raise ComponentError(
            f"The lookup table '{name}' cannot be read: there is no UTF-8 text file '{text}'. Correct its path, "
            "list its values in the training data, or set lookups: false."
        ) from error
    logger.info(f"The lookup table '{name}' is read from a file: {counted(len(values), 'value', 'values')}.")
    return [value.lstrip(_BYTE_ORDER_MARK) for value in values]
