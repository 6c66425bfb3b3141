"""Checks that `rasa train nlu` accepts a config.yml and its data, before hours of a search that ends with it."""

from __future__ import annotations

import contextlib
import copy
import os
import sys
from pathlib import Path
from typing import Any, Dict, Iterator

from rasa_compressed_bert.errors import CompressedBertError, ConfigError


def require_trainable(config: Dict[str, Any], *, path: Path, nlu: Path) -> None:
    """Checks the whole pipeline as Rasa does at the beginning of a training.

    Args:
        config: the content of the config.yml.
        path: the path of the config.yml, for errors.
        nlu: the training data.

    Raises:
        ConfigError: if Rasa would refuse the pipeline, or one of our components its options.
        CompressedBertError: if the data cannot be read, or have no messages.
    """
    from rasa.engine.recipes.recipe import Recipe
    from rasa.engine.validation import validate
    from rasa.shared.constants import ASSISTANT_ID_KEY, CONFIG_MANDATORY_KEYS_NLU
    from rasa.shared.data import TrainingType

    from rasa_compressed_bert.components.nlu_files import load_training_data

    needed = [key for key in CONFIG_MANDATORY_KEYS_NLU if key != ASSISTANT_ID_KEY]  # Rasa itself adds a missing id
    missing = [key for key in needed if config.get(key) is None]
    if missing:
        raise ConfigError(f"--config: '{path}' has no {' and no '.join(missing)}, so `rasa train nlu` refuses it.")
    if load_training_data(nlu).contains_no_pure_nlu_data():
        raise CompressedBertError(f"'{nlu}' holds no NLU data that `rasa train nlu` could train on.")
    try:
        with _importing_as_rasa():
            recipe = Recipe.recipe_for_name(config.get("recipe") or "default.v1")
            graph = recipe.graph_config_for_recipe(copy.deepcopy(config), {}, training_type=TrainingType.NLU)
            validate(graph)
            for node in graph.train_schema.nodes.values():
                if node.fn == "train" and hasattr(node.uses, "options_class"):  # a component of ours: check its options
                    node.uses.fingerprint_addon({**node.uses.get_default_config(), **node.config})
    except Exception as error:  # a module of the user's own may raise anything
        raise ConfigError(f"--config: `rasa train nlu` cannot train the pipeline in '{path}': {error}") from error


@contextlib.contextmanager
def _importing_as_rasa() -> Iterator[None]:
    """Imports components from the current folder too, as Rasa's command line does."""
    before = list(sys.path)
    sys.path.insert(1, os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before
