"""Ten minutes of load on a server of a trained model: errors, latency and memory, minute by minute.

python -m benchmarks.load MODEL --nlu TEST.yml --minutes 10
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import psutil
from rasa.core.agent import Agent
from tqdm import tqdm

from benchmarks.common.commands import command_line, exit_status, in_one_line, publish, quiet_rasa
from rasa_compressed_bert.benchmark.server import Load, as_received, serve
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.reporting.plots import drawn
from rasa_compressed_bert.reporting.tables import markdown_table

HERE = Path(__file__).parent
ODD = ["😀" * 50, "שלום", "\x00\ud800", "x" * 5_000, "word " * 2_000, "?!", "[PAD] [SEP]"]
_RARITY, _WARM_UP_S = 20, 10
_PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")
_GROWTH = 0.02  # largest relative growth of memory from the first minute to the last


def main() -> int:
    """Writes `results/load.json`, `.md` and `.png`."""
    arguments = _arguments()
    return exit_status(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Sends requests to a server, and writes the results.

    Raises:
        CompressedBertError: after writing them, if an answer was wrong or memory has grown.
    """
    quiet_rasa()
    texts = _texts(arguments.nlu)
    intents = _intents(arguments.model, texts)
    whole = Load(0.0)
    minutes: List[Dict[str, Any]] = []
    with serve(arguments.model, workers=arguments.workers) as server:
        for minute in tqdm(range(arguments.minutes + 1), unit="minute"):
            seen = server.load(
                texts,
                seconds=60 if minute else _WARM_UP_S,
                connections=arguments.connections,
                right=lambda answer: answer.get("intent", {}).get("name") == intents[answer["text"]],
            )
            whole.seconds += seen.seconds if minute else 0.0
            whole.milliseconds += seen.milliseconds if minute else []
            whole.errors += seen.errors  # including those of the warm-up
            try:
                minutes.append({"minute": minute, **seen.summary(), "memory_mb": server.memory_mb()})
            except psutil.Error as error:
                whole.errors.append(f"The server has died: {error}")
                break
    content = {
        "command": command_line("benchmarks.load"),
        "model": in_one_line(arguments.model),
        "workers": arguments.workers,
        "connections": arguments.connections,
        "whole": whole.summary(),
        "errors": whole.errors[:10],
        "minutes": minutes,
        "environment": environment(),
    }
    publish("load", content, to_markdown, folder=arguments.results)
    plot(content["minutes"], arguments.results / "load.png")
    if whole.errors:
        raise CompressedBertError(f"{len(whole.errors)} errors; the first: {whole.errors[0]}")
    first, last = (sum(minutes[place]["memory_mb"].values()) for place in (1, -1))
    if last > (1.0 + _GROWTH) * first:
        raise CompressedBertError(f"The workers' memory has grown from {first:.0f} MB to {last:.0f} MB.")


def _intents(model: Path, texts: Sequence[str]) -> Dict[str, Optional[str]]:
    """The intent that Rasa predicts in this process, by the text as a server receives it."""
    agent = Agent.load(str(model))

    async def parse_all() -> Dict[str, Optional[str]]:
        found = {text: await agent.parse_message(text) for text in map(as_received, dict.fromkeys(texts))}
        return {text: parsed["intent"]["name"] for text, parsed in found.items()}

    return asyncio.run(parse_all())


def _texts(nlu: Path) -> List[str]:
    """The messages, shuffled, with an unusual text after every few of them."""
    texts = [message.text for message in load_messages(nlu)]
    random.Random(0).shuffle(texts)
    odd = itertools.cycle(ODD)
    return [text for index, own in enumerate(texts) for text in ([own, next(odd)] if index % _RARITY == 0 else [own])]


def to_markdown(title: str, content: Dict[str, Any]) -> str:
    """A page with a row per minute, and one for the whole run."""
    keys = ("answers_per_second", *_PERCENTILES)
    rows = [["minute", "answers", "errors", "answers a second", "p50 ms", "p95 ms", "p99 ms", "memory of workers, MB"]]
    for item in content["minutes"]:
        figures = [f"{item[key]:.1f}" for key in keys]
        memory = ", ".join(f"{value:.0f}" for value in item["memory_mb"].values())
        rows.append([str(item["minute"]), str(item["answers"]), str(item["errors"]), *figures, memory])
    whole = content["whole"]
    rows.append(["all", str(whole["answers"]), str(whole["errors"]), *(f"{whole[key]:.1f}" for key in keys), ""])
    return f"""# {title}

{content["model"]}.

{content["workers"]} workers of `rasa run --enable-api`, one thread for each library; {content["connections"]} clients
on the same machine, each of which asks again as soon as it has its answer. Every {_RARITY}th text is an odd one
(thousands of words, control characters, half a surrogate pair). Minute 0 is a warm-up of {_WARM_UP_S} seconds: its
errors count, its times do not.

{markdown_table(rows)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def plot(minutes: Sequence[Dict[str, Any]], path: Path) -> None:
    """Plots latency after the warm-up, and memory, by minute."""
    with drawn(path, figsize=(8, 4), ncols=2) as (figure, (latency, memory)):
        measured = minutes[1:]
        for key in _PERCENTILES:
            latency.plot([item["minute"] for item in measured], [item[key] for item in measured], label=key[:3])
        for worker in dict.fromkeys(worker for item in minutes for worker in item["memory_mb"]):
            known = [item for item in minutes if worker in item["memory_mb"]]
            memory.plot(
                [item["minute"] for item in known], [item["memory_mb"][worker] for item in known], label="a worker"
            )
        for axes, label in ((latency, "milliseconds"), (memory, "MB of resident memory")):
            axes.set_xlabel("minute")
            axes.set_ylabel(label)
            axes.set_ylim(0.0, 1.2 * axes.dataLim.y1)
            axes.legend()
            axes.grid(True, alpha=0.3)
        figure.tight_layout()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL", help="a trained model")
    parser.add_argument("--nlu", type=Path, required=True, metavar="TEST.yml", help="messages to send")
    parser.add_argument("--minutes", type=int, choices=range(1, 24 * 60), default=10, metavar="MINUTES")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
