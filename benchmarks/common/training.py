"""Training of rows by the command `rasa train nlu`, with its time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict

import yaml

import rasa_compressed_bert
from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.models.pretrained import ALIASES, weights_digest
from rasa_compressed_bert.reporting.environment import environment

_NOT_MEASURED = ("commands", "search", "spacy_pipeline", "__main__.py")
_NOT_IN_A_MODEL = ("benchmark", *_NOT_MEASURED)
_SINGLE_THREAD = "_THREADS"  # part of the names of variables that set a library's number of threads


def train_row(folder: Path, config: Dict[str, Any], nlu: Path, *, reuse: bool = False) -> Dict[str, Any]:
    """Trains `folder`/model.tar.gz, unless it was trained with the same data, configuration, code and libraries.

    Args:
        folder: the folder of the model.
        config: a config.yml.
        nlu: training data.
        reuse: whether to reuse a model of other code or libraries as well; `made_by_other_code` then says so.

    Returns:
        `training_s`, the seconds of the whole command, including Rasa's start; `command`; and what it was made from.

    Raises:
        CompressedBertError: if training fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    timing, model = folder / "timing.json", folder / "model.tar.gz"
    is_ours = any(str(item["name"]).startswith(rasa_compressed_bert.__name__) for item in config["pipeline"])
    code = model_code(is_ours=is_ours)
    made_from = {"config": config, "data": file_digest(nlu), "code": code, **libraries()}
    if model.is_file() and timing.is_file():
        done = json.loads(timing.read_text())
        different = {name for name, value in made_from.items() if done.get(name) != value}
        if not different or reuse and different <= {"code", *libraries()}:
            return {**done, "made_by_other_code": bool(different)}
    (folder / "config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    options = ["--nlu", os.path.relpath(nlu, folder), "--config", "config.yml", "--out", "."]
    options += ["--fixed-model-name", "model"]
    timing.unlink(missing_ok=True)
    start = time.perf_counter()
    _run([sys.executable, "-m", "rasa", "train", "nlu", *options], folder)
    done = {
        "training_s": time.perf_counter() - start,
        "command": " ".join(["python", "-m", "rasa", "train", "nlu", *options]),
        "made_by_other_code": False,
        **made_from,
    }
    timing.write_text(json.dumps(done, indent=1))
    return done


def training_environment() -> Dict[str, str]:
    """The environment of a process that can use all cores."""
    return {name: value for name, value in worker_environment(1).items() if _SINGLE_THREAD not in name}


def _run(command: Any, folder: Path) -> None:
    """Runs a command in `folder`, without Rasa's cache; its output is written to train.log."""
    environment = {**training_environment(), "RASA_MAX_CACHE_SIZE": "0", "LOG_LEVEL": "INFO"}
    log = folder / "train.log"
    with log.open("w") as output:
        code = subprocess.run(
            command, cwd=str(folder), env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code or not (folder / "model.tar.gz").is_file():
        lines = log.read_text(errors="replace").splitlines()[-8:]
        raise CompressedBertError("\n".join([f"Training '{folder.name}' failed (exit status {code}):", *lines]))


def file_digest(path: Path) -> str:
    """A digest of the content of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_of(made_from: Any) -> str:
    """A digest of JSON values, used as the name of a folder, so that other values have another folder."""
    return hashlib.sha256(json.dumps(made_from).encode("ascii")).hexdigest()[:16]


def model_code(*, is_ours: bool = True) -> str:
    """Digest of the rooms of this package that affect a model; of none for Rasa's own components."""
    return _code_digest(lambda room: is_ours and room not in _NOT_IN_A_MODEL)


def measuring_code() -> str:
    """Digest of the rooms that affect measurements of a trained model, of another version too: those that serve it."""
    return _code_digest(lambda room: room not in _NOT_MEASURED)


def _code_digest(is_wanted: Callable[[str], bool]) -> str:
    package = Path(rasa_compressed_bert.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if is_wanted(path.relative_to(package).parts[0]):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def libraries() -> Dict[str, Any]:
    """Versions of libraries, and the weights from which rows start."""
    versions = {name: version for name, version in environment()["versions"].items() if name != "rasa_compressed_bert"}
    return {"versions": versions, "weights": weights_digest(next(iter(ALIASES)))}
