"""Writes the tables of the README and of the other pages anew from the committed results.

python -m scripts.fill_pages
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import List

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TABLE = re.compile(r"<!-- table: (\w+) -->\n((?:\|.*\n)+)")


def filled(text: str, results: Path = ROOT / "benchmarks" / "results") -> str:
    """The text, with each table that a comment names replaced by the one of the results that is like it.

    Of the tables of `results/NAME.md` that is the one whose rows have the most names in common.
    """

    def newest(match: re.Match[str]) -> str:
        name, table = match.groups()
        tables = re.findall(r"(?:^\|.*\n)+", (results / f"{name}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
        like = max(tables, key=lambda other: len(set(_names(other)) & set(_names(table))))
        return f"<!-- table: {name} -->\n{like}"

    return TABLE.sub(newest, text)


def _names(table: str) -> List[str]:
    return [line.split("|")[1].strip() for line in table.splitlines()]


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
