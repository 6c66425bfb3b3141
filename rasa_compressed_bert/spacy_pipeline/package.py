"""Packages a trained model for spaCy: a wheel, and the pipeline that it contains as a folder."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple, Optional

import spacy
from spacy.language import Language

from rasa_compressed_bert import __version__
from rasa_compressed_bert.artifact.artifact import SPACY_MODEL, Artifact
from rasa_compressed_bert.errors import INSTALL_SPACY, ConfigError, ExportError, RuntimeMissingError
from rasa_compressed_bert.export.documents import document_artifact
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.runtime.spacy_predictor import blank_pipeline, read_weights, scale_logits, textcat_pipeline
from rasa_compressed_bert.spacy_pipeline import component, secondary_pipeline
from rasa_compressed_bert.units import MB

_SPACY = "3.4"  # the last that Rasa 3.6 allows
_REQUIREMENTS = (f"rasa_compressed_bert>={__version__}",)  # spaCy would add one that excludes the next minor version
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?")
# the function behind `python -m spacy package`, whose command line does not run with the versions that Rasa pins
_MAKE_WHEEL = """
import sys
from pathlib import Path
from spacy.cli.package import package
package(*map(Path, sys.argv[1:]), create_sdist=False, create_wheel=True)
"""
PIPELINE = "pipeline"


class Package(NamedTuple):
    """Name, language and version of a package.

    Attributes:
        name: with or without the language as a prefix, as in `de_bert`.
        language: spaCy's code of two or three letters.
        version: such as `1.0.0`.
    """

    name: str
    language: str
    version: str = "1.0.0"

    @property
    def short_name(self) -> str:
        """The name without the language."""
        return re.sub(f"^{self.language}_", "", self.name)

    @property
    def full_name(self) -> str:
        """The name with the language, which is imported or passed to `spacy.load`."""
        return f"{self.language}_{self.short_name}"


def write_package(artifact: Artifact, package: Package, out: Path, *, other: Optional[str] = None) -> Path:
    """Writes a wheel and the folder `pipeline` to `out`, and returns the path of the wheel; on errors, writes nothing.

    Args:
        artifact: of a BERT that predicts intents, entities or both, or of a `spacy_textcat` student.
        package: name, language and version.
        out: a folder that does not exist.
        other: name or folder of a second spaCy pipeline, whose predictions are added.

    Raises:
        ConfigError: if the name is invalid, the folder exists, or spaCy does not know the language.
        RuntimeMissingError: if spaCy has another version, or if the package `wheel` is missing.
        ExportError: if the model has no vectors, or if spaCy cannot build the package.
    """
    check(package, out)
    if SPACY_MODEL in artifact.files:
        nlp = textcat_pipeline_of(artifact, package.language)
    else:
        nlp = bert_pipeline(artifact, package.language)
    if other is not None:
        _add_other(nlp, other)
    nlp.meta.update(name=package.short_name, version=package.version, description=_described(artifact))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
        folder = Path(name)
        nlp.to_disk(folder / "pipeline")
        (folder / "out").mkdir()
        (folder / "out" / "package").mkdir()
        wheel = _wheel(folder / "pipeline", folder / "out" / "package")
        wheel = Path(shutil.move(str(wheel), folder / "out" / wheel.name))
        shutil.rmtree(folder / "out" / "package")
        (folder / "pipeline").rename(folder / "out" / PIPELINE)
        (folder / "out").rename(out)
    return out / wheel.name


@as_artifact_error()
def bert_pipeline(artifact: Artifact, language: str) -> Language:
    """Makes a spaCy pipeline of a tokenizer and a compressed BERT.

    Raises:
        ConfigError: if spaCy does not know the language.
        ExportError: if the model is not a BERT.
        ArtifactError: if its parts do not fit each other.
    """
    if "encoder" not in artifact.manifest:
        architecture = artifact.manifest["student"]["architecture"]
        raise ExportError(
            f"A student of the architecture {architecture} has no word vectors: packages are made of BERTs, the "
            "student `transformer` included, and of `spacy_textcat`."
        )
    nlp = blank_pipeline(language, option="--language")
    nlp.add_pipe(component.NAME).set_artifact(document_artifact(artifact))
    nlp.meta["requirements"] = list(_REQUIREMENTS)
    return nlp


@as_artifact_error()
def textcat_pipeline_of(artifact: Artifact, language: str) -> Language:
    """Makes a spaCy pipeline of a `spacy_textcat` student, with its temperature folded into the last layer.

    `softmax((W x + b) / T)` is `softmax(W' x + b')` with `W' = W / T` and `b' = b / T`.

    Raises:
        ConfigError: if the student was trained with the tokenizer of another language.
        ArtifactError: if its parts do not fit each other.
    """
    manifest = artifact.manifest
    trained = manifest["student"]["language"]
    nlp = textcat_pipeline(trained, manifest["labels"])
    if nlp.lang != language:
        raise ConfigError(f"--language: the student was trained with the tokenizer of '{trained}': give that language.")
    read_weights(nlp, artifact.files[SPACY_MODEL])
    scale_logits(nlp, 1.0 / manifest["temperature"])
    return nlp


def spacy_code(language: str) -> str:
    """spaCy's own code of a language, which begins the name of a package: `nb` for `no`, `pt` for `pt-BR`.

    Raises:
        ConfigError: if spaCy does not know the language.
    """
    code: str = blank_pipeline(language, option="--language").lang
    return code


def check(package: Package, out: Path, *, other: Optional[str] = None) -> None:
    """Checks arguments of `write_package` before any work is done.

    Raises:
        ConfigError: if the name is invalid, the folder exists, or spaCy does not know the language or the other
            pipeline.
        RuntimeMissingError: if spaCy has another version, or if the package `wheel` is missing.
    """
    nlp = blank_pipeline(package.language, option="--language")
    name = package.name
    if not (name.isascii() and name.isidentifier() and name.strip("_") == name and name == name.lower()):
        raise ConfigError(
            f"--name: '{name}' is not a valid package name; use lower-case letters, digits and _, as in de_bert."
        )
    if keyword.iskeyword(name) or "__" in name or not package.short_name:
        raise ConfigError(f"--name: '{name}' is not a valid package name; choose another one, as in de_bert.")
    if not _VERSION.fullmatch(package.version):
        raise ConfigError(f"--version: '{package.version}' is not a valid version; write it as in 1.0.0.")
    if out.exists() or out.is_symlink():
        raise ConfigError(f"--out: '{out}' exists; name a new folder, or remove it.")
    if not spacy.__version__.startswith(f"{_SPACY}."):
        raise RuntimeMissingError(
            f"spaCy {spacy.__version__} is installed, and packages are for spaCy {_SPACY}, the last that Rasa 3.6 "
            f"allows: {INSTALL_SPACY}"
        )
    if importlib.util.find_spec("wheel") is None:  # which spaCy uses in another process
        raise RuntimeMissingError("The package is built as a wheel, and `wheel` is not installed: pip install wheel")
    if other is not None:
        _add_other(nlp, other)


def _add_other(nlp: Language, other: str) -> None:
    """Adds a second pipeline; a folder is named by its whole path, as the package may be loaded in any other folder."""
    nlp.meta["requirements"] = list(_REQUIREMENTS)  # of the component that runs the other pipeline
    try:
        is_folder = Path(other).is_dir() and not spacy.util.is_package(other)  # spaCy prefers packages
        nlp.add_pipe(secondary_pipeline.NAME, config={"model": str(Path(other).resolve()) if is_folder else other})
    except Exception as error:  # a folder may be invalid in any way
        raise ConfigError(f"--beside: spaCy cannot load '{other}': {error}") from error


def _described(artifact: Artifact) -> str:
    kind = artifact.manifest["kind"].replace("_", " ")
    return f"{kind} of rasa_compressed_bert, {artifact.size / MB:.1f} MB"


def _wheel(pipeline: Path, folder: Path) -> Path:
    """Has spaCy build the wheel; spaCy loads the pipeline and writes much to standard output."""
    command = [sys.executable, "-c", _MAKE_WHEEL, str(pipeline), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*/dist/*.whl"))
    if done.returncode or len(wheels) != 1:
        output = (done.stdout + done.stderr).splitlines()[-12:]
        raise ExportError("\n".join(["spaCy cannot build the package:", *output]))
    return wheels[0]
