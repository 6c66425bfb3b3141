"""Writes `docs/options.md`: every option of every component, from the dataclasses that declare them.

python -m scripts.options
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, List, Tuple

from rasa_compressed_bert import config
from rasa_compressed_bert.config import options_of, sections_of

PAGE = Path(__file__).parents[1] / "docs" / "options.md"
COMPONENTS = (
    "PrunedBertIntentClassifier",
    "JointBertClassifier",
    "BertEntityExtractor",
    "DistilledIntentClassifier",
    "QuantizedBertFeaturizer",
)
_HEAD = """# Options

Every option of every component, as `config.yml` takes it; what is left out has its default. A section, such as
`pruning`, is a map of its own options. This page is written by `python -m scripts.options`.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for name in COMPONENTS:
        parts.append(f"## `rasa_compressed_bert.{name}`\n")
        options_class = getattr(config, f"{name}Config")
        for section, rows in _tables(options_class):
            heading = [f"### `{section}`\n"] if section else []
            parts += [*heading, "| option | default | accepted | |\n|---|---|---|---|\n" + "".join(rows)]
    return "\n".join(parts)


def _tables(options_class: Any, name: str = "") -> List[Tuple[str, List[str]]]:
    """The options of a class and of its sections, by the dotted names of these."""
    usual = options_class()
    rows = [
        f"| `{key}` | `{json.dumps(getattr(usual, key))}` | {option.accepted()} | {option.help} |\n"
        for key, option in options_of(options_class).items()
    ]
    tables = [(name, rows)]
    for key, inner in sections_of(options_class).items():
        tables += _tables(inner, f"{name}.{key}" if name else key)
    return tables


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
