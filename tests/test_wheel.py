"""The built and installed package is complete and works without the checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
MODULES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rasa_compressed_bert").rglob("*.py")}
TEMPLATES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rasa_compressed_bert").rglob("*.jinja")}
FILES = {*MODULES, *TEMPLATES, "rasa_compressed_bert/py.typed"}  # PEP 561: the package has type annotations


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with a wheel and an sdist, built from a copy of the sources."""
    work = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT / "rasa_compressed_bert", work / "src" / "rasa_compressed_bert")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, work / "src" / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(work / "dist"), str(work / "src")]
    subprocess.run(command, check=True, capture_output=True)
    return work / "dist"


def test_the_wheel_holds_every_module_and_nothing_else_of_ours(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == FILES


def test_the_sdist_holds_every_module_and_the_licence(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*FILES, "LICENSE", "README.md", "setup.cfg"} <= names


def test_what_was_installed_from_the_wheel_runs(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path / "site"), str(wheel)],
        check=True,
        capture_output=True,
    )
    code = (
        "import rasa_compressed_bert as package; from rasa_compressed_bert import PrunedBertIntentClassifier as ours;"
        "print(package.__file__, ours.get_default_config()['epochs'])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=True,
        capture_output=True,
        text=True,
    )
    path, epochs = said.stdout.split()
    assert Path(path).is_relative_to(tmp_path / "site") and int(epochs) == 8
