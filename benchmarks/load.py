"""Ten minutes of load against a trained model's own server: errors, latency, and memory minute by minute.

python -m benchmarks.load MODEL --nlu TEST.yml --minutes 10
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List

from benchmarks.commands import command_line, publish
from rasa_compressed_bert.benchmark.environment import environment, in_words
from rasa_compressed_bert.benchmark.messages import load_messages
from rasa_compressed_bert.benchmark.plots import drawn
from rasa_compressed_bert.benchmark.server import Load, serve
from rasa_compressed_bert.benchmark.tables import markdown_table

HERE = Path(__file__).parent
ODD = ["😀" * 50, "שלום", "\x00\ud800", "x" * 5_000, "word " * 2_000, "?!", "[PAD] [SEP]"]


def main() -> int:
    """Writes `results/load.json`, `.md` and `.png`."""
    arguments = _arguments()
    texts = [message.text for message in load_messages(arguments.nlu)] + ODD
    whole = Load(0.0)
    minutes: List[Dict[str, Any]] = []
    with serve(arguments.model, workers=arguments.workers) as server:
        server.load(texts, seconds=10, connections=arguments.connections)
        minutes.append({"minute": 0, **Load(1.0).summary(), "memory_mb": server.memory_mb()})
        for minute in range(arguments.minutes):
            seen = server.load(texts, seconds=60, connections=arguments.connections)
            minutes.append({"minute": minute + 1, **seen.summary(), "memory_mb": server.memory_mb()})
            sys.stdout.write(f"{json.dumps(minutes[-1])}\n")
            sys.stdout.flush()
            whole.seconds += seen.seconds
            whole.milliseconds += seen.milliseconds
            whole.errors += seen.errors
    content = {
        "command": command_line("benchmarks.load"),
        "workers": arguments.workers,
        "connections": arguments.connections,
        "whole": whole.summary(),
        "errors": whole.errors[:10],
        "minutes": minutes,
        "environment": environment(),
    }
    _write(content, arguments.results)
    return 1 if whole.errors else 0


def _write(content: Dict[str, Any], folder: Path) -> None:
    keys = ("answers_per_second", "p50_ms", "p95_ms", "p99_ms")
    rows = [["minute", "answers", "errors", "answers a second", "p50 ms", "p95 ms", "p99 ms", "memory of workers, MB"]]
    for item in content["minutes"]:
        figures = [f"{item[key]:.1f}" for key in keys]
        memory = ", ".join(f"{value:.0f}" for value in item["memory_mb"].values())
        rows.append([str(item["minute"]), str(item["answers"]), str(item["errors"]), *figures, memory])
    whole = content["whole"]
    rows.append(["all", str(whole["answers"]), str(whole["errors"]), *(f"{whole[key]:.1f}" for key in keys), ""])
    text = f"""# load

{content["workers"]} workers of `rasa run --enable-api`, one thread for each library; {content["connections"]} clients
on the same machine, each of which asks again as soon as it has its answer.

{markdown_table(rows)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""
    publish("load", content, text, folder=folder)
    with drawn(folder / "load.png", figsize=(8, 4), ncols=2) as (figure, (latency, memory)):
        minutes = [item["minute"] for item in content["minutes"]]
        for key in keys[1:]:
            latency.plot(minutes, [item[key] for item in content["minutes"]], label=key.replace("_", " "))
        for worker in content["minutes"][0]["memory_mb"]:
            memory.plot(minutes, [item["memory_mb"][worker] for item in content["minutes"]], label="a worker")
        for axes, label in ((latency, "milliseconds"), (memory, "MB of resident memory")):
            axes.set_xlabel("minute")
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0)
            axes.legend()
            axes.grid(True, alpha=0.3)
        figure.tight_layout()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL", help="a trained model")
    parser.add_argument("--nlu", type=Path, required=True, metavar="TEST.yml", help="messages to ask")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
