"""Writes `docs/options.md`: every option of every component, from the dataclasses that declare them.

python -m scripts.options
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from rasa_compressed_bert import config
from rasa_compressed_bert.config import Option, options_of, sections_of, student_options
from rasa_compressed_bert.config.options import Variants
from rasa_compressed_bert.config.requirements import alternatives
from rasa_compressed_bert.config.student import ARCHITECTURES

PAGE = Path(__file__).parents[1] / "docs" / "options.md"
COMPONENTS = (
    "PrunedBertIntentClassifier",
    "JointBertClassifier",
    "BertEntityExtractor",
    "BertAnswerExtractor",
    "DistilledIntentClassifier",
    "QuantizedBertFeaturizer",
)
_HEAD = """# Options

Every option of every component, as `config.yml` takes it, where names of components begin with `rasa_compressed_bert.`;
what is left out has its default. A section, such as `pruning`, is a map of its own options. This page is written by
`python -m scripts.options`.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for name in COMPONENTS:
        parts.append(f"## {name}\n")
        options_class = getattr(config, f"{name}Config")
        for section, rows in _tables(options_class):
            heading = [f"### `{section}`\n"] if section else []
            parts += [*heading, "| option | default | accepted | meaning |\n|---|---|---|---|\n" + "".join(rows)]
    return "\n".join(parts)


def _tables(component: Any) -> List[Tuple[str, List[str]]]:
    """The tables of options of a component, one for each section, with their headings."""
    tables = []
    for section, part, keys in _parts(component):
        usual, rows = part(), []
        for key in keys:
            option = options_of(part)[key]
            default = getattr(usual, key)
            values = option.choices or ([True] if option.kind is bool else [])
            others = [value for value in values if value != default]
            text = " ".join([option.help, *_requirements(option), *_exceptions(component, section, key, others)])
            rows.append(f"| `{key}` | `{json.dumps(default)}` | {option.accepted()} | {text} |\n")
        tables.append((section, rows))
    return tables


def _parts(component: Any) -> Iterator[Tuple[str, Any, Sequence[str]]]:
    """Heading, class and option names of the component, of each section, and of each variant of a section."""
    yield "", component, list(options_of(component))
    for section, part in sections_of(component).items():
        yield section, part, list(options_of(part))
        for name, variant in part.variants().items() if issubclass(part, Variants) else ():
            own = [key for key in options_of(variant) if key not in options_of(part)]
            yield f"{section}: {{{part.variant_option}: {name}}}", variant, own


def _requirements(option: Option) -> List[str]:
    """The conditions on other options that an option declares."""
    needed = [f"`{name}: {alternatives(values)}`" for name, values in option.requires.items()]
    return [f"Only for {' and '.join(needed)}."] if needed else []


def _exceptions(component: Any, section: str, key: str, values: Sequence[Any]) -> List[str]:
    """The values of an option that a component refuses, or accepts only for some students."""
    bases: Dict[str, Dict[str, Any]] = {"": {}}
    if section.startswith("student"):
        return []
    if "student" in sections_of(component):
        bases = {name: {"student": student_options({"architecture": name})} for name in ARCHITECTURES}
    taken_by: Dict[str, List[str]] = {}
    for value in values:
        own = {section: sections_of(component)[section](**{key: value})} if section else {key: value}
        takers = [name for name, base in bases.items() if not _refused(component(**base, **own), section, key)]
        if len(takers) < len(bases):
            taken_by.setdefault(" or ".join(takers), []).append(f"`{json.dumps(value)}`")
    return [
        f"{', '.join(texts)}: for student {takers} alone." if takers else f"Not here: {', '.join(texts)}."
        for takers, texts in taken_by.items()
    ]


def _refused(options: Any, section: str, key: str) -> bool:
    """Whether the value of an option is invalid whatever the other options are, except for another student."""
    own = {section, f"{section}.{key}".lstrip("."), "student.architecture", "pruning.pooler"}
    return any(set(problem.options) <= own for problem in options.conflicts())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
