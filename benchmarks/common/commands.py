"""Command lines of the scripts: data sets as options, a run for each, and the command in its published form."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

from rasa.utils.common import configure_logging_and_warnings
from rasa.utils.log_utils import configure_structlog

from rasa_compressed_bert.commands.quiet import silence_libraries
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.inspection.description import inspect_model
from rasa_compressed_bert.units import MB


def named_folder(text: str) -> Tuple[str, Path]:
    """Parses `NAME=DIR`, or `DIR`, whose name is that of the folder."""
    name, found, path = text.partition("=")
    return (name, Path(path)) if found else (Path(text).name, Path(text))


def work_folder(arguments: argparse.Namespace, title: str) -> Path:
    """The folder for the models of a script, `--work` / title; with `--fresh` its content is deleted."""
    folder: Path = arguments.work / title
    if arguments.fresh and folder.exists():
        shutil.rmtree(folder)
    return folder


def command_line(module: str) -> str:
    """This process's command, with folders outside of this project as DATA."""
    words = []
    for word in sys.argv[1:]:
        name, found, path = word.rpartition("=")
        absolute = Path(path).is_absolute()
        words.append(f"{name}{found}DATA/{Path(path).name}" if absolute else word)
    return " ".join([f"python -m {module}", *words])


def in_one_line(model: Path) -> str:
    """A description of a trained model for published results: component, sparsity, format, weights, size."""
    report = inspect_model(model)
    parts = []
    for name, component in report["components"].items():
        sparsity, method = component.get("sparsity", 0.0), component["quantization"].get("method", "none")
        weights = component.get("model_weights", "")
        parts.append(f"{name.rpartition('.')[2]}, {sparsity:.0%} pruned, {method} {weights}".strip())
    return f"{'; '.join(parts)} ({report['archive_bytes'] / MB:.1f} MB)"


def quiet_rasa() -> None:
    """Configures logging as Rasa's command line does; otherwise every message is logged in full."""
    os.environ["LOG_LEVEL"] = "ERROR"
    configure_logging_and_warnings()
    configure_structlog()


def publish(
    name: str, content: Dict[str, Any], to_markdown: Callable[[str, Dict[str, Any]], str], *, folder: Path
) -> None:
    """Writes `name.json` and `name.md`, prints the latter and the paths of both."""
    text = to_markdown(name, content)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    sys.stdout.write(f"{text}\nWritten: {folder / name}.json and .md\n")


def run_all(arguments: argparse.Namespace, run_data_set: Callable[..., None]) -> int:
    """Runs a script for each of its data sets; returns the exit status."""

    def run() -> None:
        for name, source in arguments.data:
            run_data_set(name, source, arguments=arguments)

    return exit_status(run)


def exit_status(run: Callable[[], Any]) -> int:
    """Runs a script, and returns its exit status: 2 after an error of this package, 130 after Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    silence_libraries()
    try:
        run()
    except CompressedBertError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on from here.\n")
        return 130
    return 0
