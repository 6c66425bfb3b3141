"""Latency of the engine: BERT-base's and MiniLM's shapes from 0 to 95 % sparsity, by wordpieces and threads.

python -m benchmarks.shapes

Random weights are as fast as trained ones: this measures what pruning saves, but not what it costs.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
from tqdm import tqdm

from benchmarks.bert_base_shape import LENGTHS
from benchmarks.common.commands import command_line, publish
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.benchmark.latency import call_of, in_turns
from rasa_compressed_bert.benchmark.measuring import resident_mb
from rasa_compressed_bert.benchmark.random_models import bert_base_shape, evenly_pruned, minilm_shape, random_artifact
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.reporting.plots import drawn
from rasa_compressed_bert.reporting.trade_off import plain_ticks
from rasa_compressed_bert.units import MB

HERE = Path(__file__).parent
SHAPES = {"BERT-base": bert_base_shape(), "MiniLM": minilm_shape()}
SPARSITIES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
THREADS = (1, 2)
PUBLISHED = {
    "BERT-base, TensorFlow": (120, 408),
    "BERT-base, TFLite 8-bit weights": (600, 110),
    "BERT-base, neurons pruned by 58.5 % (143 ms before)": (105, 199),
}
"""Milliseconds per message and megabytes: Sucik, "Compressing BERT for faster prediction" and "Pruning BERT to
accelerate inference", Rasa's blog and its branch `compressing-bert`, 2019; every message padded to 128 wordpieces."""
_ABOUT = (
    "Random weights, one message at a time, p50 in milliseconds. MB: of the files; memory: what the engine and a "
    f"message of {LENGTHS[-1]} wordpieces add to a new process, on one thread."
)


def main() -> int:
    """Measures, and writes `results/shapes.json`, `.md` and `.png`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    results = [result for name in SHAPES for result in measure(name, arguments.rounds)]
    content = {"command": command_line("benchmarks.shapes"), "results": results, "environment": environment()}
    publish("shapes", content, to_markdown, folder=arguments.results)
    plot(results, arguments.results / "shapes.png")
    return 0


def measure(name: str, rounds: int) -> List[Dict[str, Any]]:
    """p50 milliseconds of one message in our ONNX Runtime engine, by threads and wordpieces, all rows in turns."""
    shape = SHAPES[name]
    artifacts, results = {"fp32": random_artifact(shape, int8=False)}, []
    for sparsity in SPARSITIES:
        artifacts[f"int8, {sparsity:.0%}"] = random_artifact(evenly_pruned(shape, sparsity), int8=True)
    for label, artifact in artifacts.items():
        sizes = {"size_mb": artifact.size / MB, "memory_mb": _memory_mb(artifact)}
        results.append({"shape": name, "model": label, **sizes, "p50_ms": {}})
    rng = np.random.default_rng(0)
    for threads in THREADS:
        for length in tqdm(LENGTHS, desc=f"{name}, {threads} threads"):
            input_ids = rng.integers(1000, shape.vocab_size, (1, length))
            calls = {key: call_of(artifact, input_ids, num_threads=threads) for key, artifact in artifacts.items()}
            for result, value in zip(results, in_turns(calls, rounds=rounds, repeats=8).values()):
                result["p50_ms"][f"{threads}/{length}"] = value
            del calls  # frees its engines before others are opened
    return results


def _memory_mb(artifact: Artifact) -> float:
    """Resident memory in MB that an engine and its longest message add to a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_added_mb, artifact, LENGTHS[-1]).result()


def _added_mb(artifact: Artifact, length: int) -> float:
    input_ids = np.zeros((1, length), np.int64)
    before = resident_mb()
    call = call_of(artifact, input_ids)
    call()
    return resident_mb() - before


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """A page with a table for each number of threads."""
    parts = ["# The engine alone, by shape and sparsity", _ABOUT]
    for threads in THREADS:
        rows = [["shape", "model", "MB", "memory MB", *(f"{length} wordpieces" for length in LENGTHS)]]
        for result in content["results"]:
            times = [f"{result['p50_ms'][f'{threads}/{length}']:.2f}" for length in LENGTHS]
            sizes = [f"{result[key]:.0f}" for key in ("size_mb", "memory_mb")]
            rows.append([result["shape"], result["model"], *sizes, *times])
        parts += [f"{threads} thread{'s' if threads > 1 else ''}:", tables.markdown_table(rows)]
    published = [["published in 2019", "ms", "MB"]]
    published += [[name, str(time), str(size)] for name, (time, size) in PUBLISHED.items()]
    parts += [
        'What Rasa\'s own experiments reached ("Compressing BERT for faster prediction", "Pruning BERT to accelerate '
        'inference"), on another machine, with every message padded to 128 wordpieces; ours take a message as long as '
        "it is, so their rows stand beside our columns from 8 wordpieces for a short one to 128:",
        tables.markdown_table(published),
    ]
    parts.append(f"Made by `{content['command']}` on {in_words(content['environment'])}.")
    return "\n\n".join(parts) + "\n"


def plot(results: List[Dict[str, Any]], path: Path) -> None:
    """Plots milliseconds over sparsity on one thread, with a line per length."""
    with drawn(path, figsize=(11, 5), ncols=len(SHAPES)) as (figure, panels):
        for axes, name in zip(panels, SHAPES):
            own = [result for result in results if result["shape"] == name and result["model"].startswith("int8")]
            for length in LENGTHS:
                times = [result["p50_ms"][f"1/{length}"] for result in own]
                axes.plot([100 * sparsity for sparsity in SPARSITIES], times, marker="o", label=f"{length} wordpieces")
            axes.set_title(f"{name}, int8, one thread")
            axes.set_xlabel("sparsity of the encoder, %")
            axes.set_ylabel("milliseconds a message")
            axes.set_yscale("log")
            plain_ticks(axes.yaxis)
            axes.grid(True, alpha=0.3)
        panels[0].legend()
        figure.tight_layout()


if __name__ == "__main__":
    sys.exit(main())
