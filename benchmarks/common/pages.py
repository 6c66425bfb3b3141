"""Markdown pages and plots of results that compare models, from their JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from benchmarks.common.names import INCOMPLETE, LOOKS, headline, name_of, named
from benchmarks.common.scores import reused_in_words
from rasa_compressed_bert.benchmark.report import comparison_rows, legend, plot_comparison
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.blocks import Lines, Table
from rasa_compressed_bert.reporting.environment import in_words
from rasa_compressed_bert.reporting.terminal import show


def write_results(title: str, content: Dict[str, Any], *, folder: Path) -> None:
    """Writes the JSON, Markdown and PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{title}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    write_pages(title, content, folder=folder)
    rows = comparison_rows(content["results"])
    show([Table(rows), Lines([f"Written: {folder / title}.json, .md and .png"])])


def write_pages(title: str, content: Dict[str, Any], *, folder: Path) -> None:
    """Writes the Markdown and PNG files from the content of the JSON."""
    (folder / f"{title}.md").write_text(to_markdown(title, content), encoding="utf-8")
    plot_models(title, content["results"], folder / f"{title}.png")


def plot_models(title: str, results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes a PNG of score against milliseconds and size, with the models' common names and colours."""
    names = {name_of(row) for row in INCOMPLETE}
    plot_comparison(results, path, title=headline(title, results), name_of=name_of, looks=LOOKS, incomplete=names)


def to_markdown(title: str, content: Dict[str, Any]) -> str:
    """A page with the most important columns, then with all."""
    results = named(content["results"])
    rows, in_short = (comparison_rows(results, in_short=short) for short in (False, True))
    older = reused_in_words(results, [result["model"] for result in results])
    notes = [content["note"]] if "note" in content else [*([older] if older else []), *content.get("failed", ())]
    return f"""# {title}

{content["training_messages"]} training messages, {content["test_messages"]} test messages, one thread, one message at a
time, all rows in one run. {legend(results)} training: seconds of the whole `rasa train nlu`.
{" ".join(notes)}

{tables.markdown_table(in_short)}

All that was measured:

{tables.markdown_table(rows)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""
