"""Growth of costs: training with examples and intents, a message with its length.

python -m benchmarks.growth

Messages consist of random words, one of which determines the intent. Our classifier is trained for one epoch, after one
of the dense model, so times are those of one epoch each and of everything else in a training.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import yaml
from tqdm import tqdm

from benchmarks.common.commands import command_line, exit_status, publish
from benchmarks.common.datasets import write_nlu
from benchmarks.common.rows import OURS, complete
from benchmarks.common.training import model_code, training_environment
from rasa_compressed_bert.artifact.archives import artifacts_of
from rasa_compressed_bert.benchmark.latency import in_turns
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.reporting.plots import drawn
from rasa_compressed_bert.reporting.resumable import Results
from rasa_compressed_bert.reporting.trade_off import plain_ticks
from rasa_compressed_bert.runtime.predictors import open_predictor
from rasa_compressed_bert.units import MB

HERE = Path(__file__).parent
EXAMPLES, INTENTS = (1_000, 3_000, 10_000, 30_000, 100_000), (10, 100, 1_000)
FEW_INTENTS, SOME_EXAMPLES = 20, 10_000
CHARACTERS = (10, 100, 1_000, 10_000, 100_000)
WORDS = "please tell me what the best new place for a good warm day in this town is and when we could go there".split()


def main() -> int:
    """Measures, and writes `results/growth.json`, `.md` and `.png`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch" / "growth", help="folder of models")
    parser.add_argument("--fresh", action="store_true", help="train everything again")
    parser.add_argument("--most", type=int, choices=EXAMPLES, default=EXAMPLES[-1], help="largest number of examples")
    arguments = parser.parse_args()
    return exit_status(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Measures all sizes; those that the same code has trained on the same machine are not trained again."""
    sizes = [(count, FEW_INTENTS) for count in EXAMPLES] + [(SOME_EXAMPLES, count) for count in INTENTS]
    sizes = [(examples, intents) for examples, intents in sizes if examples <= arguments.most]
    made_from = {"environment": environment(), "code": model_code()}
    results = Results(arguments.work / "growth.json", {}, identity=made_from, fresh=arguments.fresh)
    for examples, intents in tqdm(sizes, unit="training"):
        if {"examples": examples, "intents": intents} not in results:
            results.add(train(arguments.work, examples, intents))
    training = [cell for cell in results.content["cells"] if (cell["examples"], cell["intents"]) in sizes]
    lengths = parse(arguments.work / f"{sizes[0][0]}_{sizes[0][1]}" / "model.tar.gz")
    content = {"command": command_line("benchmarks.growth"), "training": training, "lengths": lengths}
    content["environment"] = environment()
    publish("growth", content, to_markdown, folder=arguments.results)
    plot(content, arguments.results / "growth.png")


def train(work: Path, examples: int, intents: int) -> Dict[str, Any]:
    """Seconds and peak resident memory of `rasa train nlu`, and the size of the archive."""
    folder = work / f"{examples}_{intents}"
    folder.mkdir(parents=True, exist_ok=True)
    # In its own process: otherwise the memory of this one would count as that of the training
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(examples, intents, folder / "nlu.yml"))
    writer.start()
    writer.join()
    (folder / "config.yml").write_text(yaml.safe_dump(complete([{"name": OURS, "epochs": 1}])))
    command = [sys.executable, "-m", "rasa", "train", "nlu", "--nlu", "nlu.yml", "--config", "config.yml"]
    start = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--out", ".", "--fixed-model-name", "model"],
            cwd=folder,
            env={**training_environment(), "RASA_MAX_CACHE_SIZE": "0"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status  # it has already been waited for
    if status:
        raise CompressedBertError(f"Training with {examples} examples failed:\n{(folder / 'log').read_text()[-2000:]}")
    return {
        "examples": examples,
        "intents": intents,
        "training_s": time.perf_counter() - start,
        "peak_memory_mb": usage.ru_maxrss * 1024 / MB,
        "archive_mb": (folder / "model.tar.gz").stat().st_size / MB,
    }


def write(examples: int, intents: int, path: Path) -> None:
    """Writes training data."""
    write_nlu(messages(examples, intents), path)


def messages(examples: int, intents: int, *, seed: int = 0) -> List[LabelledMessage]:
    """Distinct messages of 7 to 13 words, one of which, a number, determines the intent."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(examples):
        intent = index % intents
        words = [*rng.choice(WORDS, rng.integers(3, 10)), f"number {intent}", f"today {index}"]
        found.append(LabelledMessage(" ".join(rng.permutation(words)), f"intent_{intent}"))
    return found


def parse(model: Path) -> List[Dict[str, Any]]:
    """p50 milliseconds of the classifier alone for messages of several lengths, some longer than `max_length`."""
    (artifact,) = artifacts_of(model).values()
    predictor = open_predictor(artifact)
    text = " ".join(WORDS * (CHARACTERS[-1] // len(" ".join(WORDS)) + 1))
    calls = {str(count): lambda part=text[:count]: predictor.predict(part) for count in CHARACTERS}
    return [{"characters": int(count), "p50_ms": value} for count, value in in_turns(calls).items()]


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """Two tables; growth is the exponent with which seconds grow with examples since the row above (1: linearly)."""
    rows = [["examples", "intents", "training s", "growth", "peak memory MB", "archive MB"]]
    before: Dict[str, Any] = {}
    for item in content["training"]:
        each = ""
        if before and before["intents"] == item["intents"]:
            more = math.log(item["examples"] / before["examples"])
            each = f"{math.log(item['training_s'] / before['training_s']) / more:.2f}"
        before = item
        figures = [f"{item['training_s']:.0f}", each, f"{item['peak_memory_mb']:.0f}", f"{item['archive_mb']:.1f}"]
        rows.append([f"{item['examples']:,}", f"{item['intents']:,}", *figures])
    lengths = [["characters", "ms a message"]]
    lengths += [[f"{item['characters']:,}", f"{item['p50_ms']:.2f}"] for item in content["lengths"]]
    return f"""# How cost grows

`rasa train nlu` of our classifier with one epoch, all cores, Rasa's start included. growth: the power of the number of
examples that seconds grow with from one row to the next; 1 is proportional.

{tables.markdown_table(rows)}

A message, the classifier alone, one thread:

{tables.markdown_table(lengths)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def plot(content: Dict[str, Any], path: Path) -> None:
    """Plots seconds and memory over examples."""
    own = [item for item in content["training"] if item["intents"] == FEW_INTENTS]
    with drawn(path, figsize=(10, 4), ncols=2) as (figure, panels):
        for axes, (key, label) in zip(
            panels, {"training_s": "seconds of training", "peak_memory_mb": "peak memory, MB"}.items()
        ):
            axes.plot([item["examples"] for item in own], [item[key] for item in own], marker="o")
            axes.set_xscale("log")
            plain_ticks(axes.xaxis)
            if key == "training_s":
                axes.set_yscale("log")
                plain_ticks(axes.yaxis)
            else:
                axes.set_ylim(0.0, 1.1 * axes.dataLim.y1)
            axes.set_xlabel("examples")
            axes.set_ylabel(label)
            axes.grid(True, alpha=0.3)
        figure.suptitle("Training: time and memory against the number of messages")
        figure.tight_layout()


if __name__ == "__main__":
    sys.exit(main())
