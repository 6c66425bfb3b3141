"""Rows trained by the real command line, `rasa train nlu`, and timed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict

import yaml

import rasa_compressed_bert
from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.errors import CompressedBertError

logger = logging.getLogger(__name__)
_SINGLE_THREAD = "_THREADS"  # in the names of the variables that say how many a library may use


def train_row(folder: Path, config: Dict[str, Any], nlu: Path) -> Dict[str, Any]:
    """Trains `folder`/model.tar.gz, unless that was done already with the same data and configuration.

    Returns:
        `training_s`, the seconds of the whole command, Rasa's start included; `command`; and what it was made from.

    Raises:
        CompressedBertError: if training fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    timing, model = folder / "timing.json", folder / "model.tar.gz"
    made_from = {"config": config, "data": _digest(nlu), "package": _package_digest()}
    if model.is_file() and timing.is_file():
        done = json.loads(timing.read_text())
        if done["config"] == config and done["data"] == made_from["data"]:
            if done["package"] != made_from["package"]:
                logger.warning(f"{folder.name}: reused, though the package has changed since. --fresh trains it again.")
            return done
    (folder / "config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    options = ["--nlu", os.path.relpath(nlu, folder), "--config", "config.yml", "--out", "."]
    options += ["--fixed-model-name", "model"]
    timing.unlink(missing_ok=True)
    start = time.perf_counter()
    _run([sys.executable, "-m", "rasa", "train", "nlu", *options], folder)
    done = {
        "training_s": time.perf_counter() - start,
        "command": " ".join(["python", "-m", "rasa", "train", "nlu", *options]),
        **made_from,
    }
    timing.write_text(json.dumps(done, indent=1))
    return done


def training_environment() -> Dict[str, str]:
    """The environment of a process that may use all cores."""
    return {name: value for name, value in worker_environment(1).items() if _SINGLE_THREAD not in name}


def _run(command: Any, folder: Path) -> None:
    """Runs in `folder`, without Rasa's cache; the output is kept in train.log."""
    environment = {**training_environment(), "RASA_MAX_CACHE_SIZE": "0", "LOG_LEVEL": "INFO"}
    log = folder / "train.log"
    with log.open("w") as output:
        code = subprocess.run(
            command, cwd=str(folder), env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code or not (folder / "model.tar.gz").is_file():
        lines = log.read_text(errors="replace").splitlines()[-8:]
        raise CompressedBertError("\n".join([f"Training '{folder.name}' failed (exit status {code}):", *lines]))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _package_digest() -> str:
    package = Path(rasa_compressed_bert.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if "benchmark" not in path.parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()
