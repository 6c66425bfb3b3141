"""The parts of a release: one version, a changelog that names it, project files, an image and a workflow."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rasa_compressed_bert import __version__

ROOT = Path(__file__).parents[1]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_in_one_place():
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    others = ["setup.cfg", "pyproject.toml", "CITATION.cff", "Dockerfile", "mkdocs.yml"]
    assert not [name for name in others if re.search(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])", read(name))]


def test_the_changelog_has_the_version():
    versions = re.findall(r"^## \[(.*?)\]", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert versions[0] == "Unreleased" and versions[1] == __version__


def test_the_citation_is_complete():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= set(citation)


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"])
def test_files_of_the_project_are_linked(name):
    assert (ROOT / name).is_file() and (name == "LICENSE" or f"]({name})" in read("README.md"))


def test_the_workflow_runs_what_ci_runs():
    (job,) = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"].values()
    assert {"run": ".ci/run"} in job["steps"]


def test_the_image_has_all_that_the_package_is_built_from():
    kept = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", read("Dockerfile"), flags=re.MULTILINE)
    assert kept == set(" ".join(copied).split()) and all((ROOT / name).exists() for name in kept)
    assert "--constraint constraints.txt" in read("Dockerfile")


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not installed: the extra `release`")
def test_the_dockerfile_is_clean():
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
