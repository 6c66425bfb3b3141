"""Regenerates tables and plots from the committed results: in `benchmarks/results`, in the README and in `docs/`.

python -m scripts.fill_pages
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Dict, List

from benchmarks.common.language_pages import plot_all, results_in, summary
from benchmarks.common.names import name_of
from benchmarks.common.pages import to_markdown, write_pages
from rasa_compressed_bert.reporting.tables import markdown_table, percent

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
RESULTS = ROOT / "benchmarks" / "results"
COMPARISONS = ("benchmarks.side_by_side", "benchmarks.run_spacy")
DRAWN = (
    *("benchmarks.real_bots", "benchmarks.few_shot", "benchmarks.seeds"),
    *("benchmarks.run_distillation", "benchmarks.run_quantization", "benchmarks.run_featurizer"),
)
"""Scripts with their own function `plot` of results, path and title."""
UNNAMED = ("load",)  # its page is not regenerated: the result lacks the name of the model
TABLE = re.compile(r"<!-- table: (\w+) -->\n((?:\|.*\n)+)")
LANGUAGES = re.compile(r"<!-- intents and entities: (\w+)_\* -->\n((?:\|.*\n)+)")
SUMMARY = re.compile(r"<!-- accuracy and milliseconds: ([\w, ]+) -->\n((?:\|.*\n)+)")


def committed() -> Dict[str, Dict[str, Any]]:
    """The committed results that have a Markdown page, by file name without ending."""
    paths = [path for path in sorted(RESULTS.glob("*.json")) if path.with_suffix(".md").is_file()]
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def comparisons() -> Dict[str, Dict[str, Any]]:
    """The committed results that compare models."""
    return {title: content for title, content in committed().items() if _script(content) in COMPARISONS}


def page(title: str, content: Dict[str, Any]) -> str:
    """The Markdown page of a result, from the script that measured it."""
    if _script(content) in COMPARISONS:
        return to_markdown(title, content)
    return importlib.import_module(_script(content)).to_markdown(title, content)


def _script(content: Dict[str, Any]) -> str:
    return content["command"].split()[2]  # python -m SCRIPT


def filled(text: str, results: Path = RESULTS) -> str:
    """The text with each table below a comment `table: NAME` replaced by the most similar one of `results/NAME.md`.

    That is the table whose rows have the most names in common with the old one.
    """

    def newest(match: re.Match[str]) -> str:
        name, table = match.groups()
        tables = re.findall(r"(?:^\|.*\n)+", (results / f"{name}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
        like = max(tables, key=lambda other: len(set(_names(other)) & set(_names(table))))
        return f"<!-- table: {name} -->\n{like}"

    text = LANGUAGES.sub(lambda match: _languages(match[1], results), TABLE.sub(newest, text))
    return SUMMARY.sub(lambda match: _summary(match, results), text)


def _languages(title: str, results: Path) -> str:
    """The table with a row for each data set in one language whose result has a name with this prefix."""
    data_sets = [content["data"] for content in results_in(results, title) if "data" in content]
    table = markdown_table(summary(data_sets))
    return f"<!-- intents and entities: {title}_* -->\n{table}\n"


def _summary(match: re.Match[str], results: Path) -> str:
    """The table with a row for each comparison that a comment names, and the columns of the old table."""
    titles, table = match.groups()
    _, *models = [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")]
    rows = [["", *models]]
    for title in titles.split(", "):
        content = json.loads((results / f"{title}.json").read_text(encoding="utf-8"))
        of = {name_of(result["model"]): result for result in content["results"]}
        cells = [
            f"{percent(of[name]['accuracy'])}, {of[name]['latency_p50_ms']:.2f} ms" if name in of else ""
            for name in models
        ]
        rows.append([content["data"], *cells])
    return f"<!-- accuracy and milliseconds: {titles} -->\n{markdown_table(rows)}\n"


def _names(table: str) -> List[str]:
    return [line.split("|")[1].strip() for line in table.splitlines()]


if __name__ == "__main__":
    for name, result in committed().items():
        if _script(result) in COMPARISONS:
            write_pages(name, result, folder=RESULTS)
            continue
        if _script(result) in DRAWN:
            importlib.import_module(_script(result)).plot(result, RESULTS / f"{name}.png", title=name)
        if name not in UNNAMED:
            (RESULTS / f"{name}.md").write_text(page(name, result), encoding="utf-8")
    plot_all(RESULTS, title="languages")
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
