"""The documentation site: no link is broken, every page is in the menu, and MkDocs builds it without warnings."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.site_files import PAGES

ROOT = Path(__file__).parents[1]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
WRITTEN = sorted(path for pattern in PAGES for path in ROOT.glob(pattern) if path.suffix == ".md")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", flags=re.DOTALL)


def links(path):
    """The link targets of a page as paths with fragments, without external links."""
    for target in LINK.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", target):
            name, _, fragment = target.partition("#")
            yield (path.parent / name if name else path), fragment


def anchors(path):
    """The fragments of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def menu(entries):
    for entry in entries:
        for value in entry.values():
            yield from menu(value) if isinstance(value, list) else [value]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target, fragment in links(path):
        assert target.exists(), target
        assert not fragment or fragment in anchors(target), (target, fragment)


def test_links_are_found():
    assert (ROOT / "docs/first_bot.md", "extras") in list(links(ROOT / "README.md"))
    assert "extras" in anchors(ROOT / "docs/first_bot.md")


def test_every_page_is_in_the_menu():
    assert {ROOT / page for page in menu(SITE["nav"])} == set(WRITTEN)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="MkDocs is not installed: the extra `docs`")
def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    assert "PrunedBertIntentClassifier" in (tmp_path / "site/docs/api/index.html").read_text(encoding="utf-8")
    assert (tmp_path / "site/benchmarks/results/sara2019.png").is_file()
    shown = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="https?://', shown), "loaded from elsewhere"
