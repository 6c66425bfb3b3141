"""Quantization of one trained intent model: k-means of 8 to 1 bits, and every method in every runtime.

python -m benchmarks.run_quantization --data clinc150=DATA/clinc150
python -m benchmarks.run_quantization --data clinc150=DATA/clinc150 --part runtimes
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Mapping

from benchmarks.common import kmeans_bits, runtimes
from benchmarks.common.commands import command_line, named_folder, publish, run_all, work_folder
from benchmarks.common.datasets import prepare
from benchmarks.common.quantized import Dense
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.reporting.environment import environment, in_words

logger = logging.getLogger("benchmarks")
HERE = Path(__file__).parent
PARTS = ("bits", "runtimes")


def main() -> int:
    """Trains a dense model of each data set, quantizes and measures it, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `kmeans_<name>` and `runtimes_<name>`, each as `.json`, `.md` and `.png`."""
    name = name if arguments.sample else f"{name}_full"
    work = work_folder(arguments, f"quantization_{name}")
    training, test = prepare(source, work / "data", sample=arguments.sample)
    messages = load_messages(test, arguments.max_messages)
    logger.info(f"{name}: the dense model")
    dense = Dense.trained(work / "dense", training, epochs=arguments.epochs)
    about = {
        "data": name,
        "training_messages": len(dense.examples),
        "test_messages": len(messages),
        "command": command_line("benchmarks.run_quantization"),
        "environment": environment(),
    }
    if "bits" in arguments.part:
        content = kmeans_bits.measure(dense, messages, path=work / "kmeans.json")
        write_results(f"kmeans_{name}", {**about, **content}, folder=arguments.results)
    if "runtimes" in arguments.part:
        content = runtimes.measure(dense, messages, folder=work / "runtimes")
        write_results(f"runtimes_{name}", {**about, **content}, folder=arguments.results)


def write_results(title: str, content: Dict[str, Any], *, folder: Path) -> None:
    """Writes the JSON, Markdown and PNG files of a part."""
    publish(title, content, to_markdown, folder=folder)
    plot(content, folder / f"{title}.png", title=title)


def plot(content: Mapping[str, Any], path: Path, *, title: str) -> None:
    """Writes the PNG of a part."""
    _part(content).plot(content, path, title=title)


def to_markdown(title: str, content: Mapping[str, Any]) -> str:
    """The page of a part, with how it was measured."""
    return f"""{_part(content).to_markdown(title, content)}
{content["training_messages"]} training messages, {content["test_messages"]} test messages.
Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def _part(content: Mapping[str, Any]) -> ModuleType:
    return kmeans_bits if "cells" in content else runtimes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, required=True, help="[NAME=]DIR with train.yml and test.yml"
    )
    parser.add_argument("--sample", type=int, default=3000, help="stratified training sample; 0 for all")
    parser.add_argument("--part", action="append", choices=PARTS, help="what to measure; default: both")
    parser.add_argument("--epochs", type=int, default=0, help="epochs of the dense model; 0 for the default")
    parser.add_argument(
        "--max-messages", type=int, default=0, help="size of a random sample of the test messages; 0 for all"
    )
    parser.add_argument("--fresh", action="store_true", help="train, quantize and measure everything again")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    arguments.part = arguments.part or PARTS
    return arguments


if __name__ == "__main__":
    sys.exit(main())
