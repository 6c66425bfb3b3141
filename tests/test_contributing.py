"""CONTRIBUTING.md: the make targets, files, commands and subpackages that it names exist."""

import re
from pathlib import Path

import pytest
from test_rooms import PACKAGE, ROOMS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", PAGE)
MADE = {".venv", "dist/", "build/site", ".rasa/cache"}
"""Folders that commands on the page make."""


def targets():
    return sorted({match[1] for code in CODE for match in re.finditer(r"\bmake ([a-z-]+)", code)})


def paths():
    """All paths in code and commands; those in the map are relative to the package."""
    words = {word.split("=")[-1].strip('"') for code in CODE for word in code.split()}
    words = {word for word in words if "NAME" not in word}  # without files that a recipe adds
    return sorted(word for word in words if re.fullmatch(r"\.?[\w./-]*(/|\.(py|md|cfg|toml|txt|yml))[\w./]*", word))


def test_there_are_targets_and_paths():
    assert {"lint", "test", "venv"} <= set(targets())
    assert {"constraints.txt", "pyproject.toml", "tests/test_rooms.py", "components/message_io.py"} <= set(paths())


@pytest.mark.parametrize("target", targets())
def test_targets_exist(target):
    assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE)


@pytest.mark.parametrize("path", paths())
def test_paths_exist(path):
    if path in MADE or path.startswith(".venv/"):
        return
    beside = [ROOT, PACKAGE, PACKAGE / "models"]
    assert any((folder / path).exists() for folder in beside)


@pytest.mark.parametrize("module", re.findall(r"python -m (scripts\.\w+)", PAGE))
def test_scripts_exist(module):
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_the_map_has_every_room_once():
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(rows) == sorted(room for room in ROOMS if not room.startswith("__"))
