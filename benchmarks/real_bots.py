"""Real bots: scores of models behind Rasa's fallback on messages of users, many of which are out of scope.

python -m benchmarks.real_bots --data hint3_sofmattress=DATA/hint3_sofmattress --data hint3_curekart=DATA/hint3_curekart

A data set is a folder of the files of HINT3, see `benchmarks.common.hint3`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict

import numpy as np
from tqdm import tqdm

from benchmarks.common import rows as row_definitions
from benchmarks.common.bot_pages import plot, to_markdown
from benchmarks.common.commands import command_line, named_folder, publish, run_all, work_folder
from benchmarks.common.datasets import write_nlu
from benchmarks.common.decisions import scores
from benchmarks.common.hint3 import OUT_OF_SCOPE, Bot, read_bot
from benchmarks.common.measured import Measured
from benchmarks.common.served import served
from benchmarks.common.training import file_digest, train_row
from rasa_compressed_bert.reporting.environment import environment
from rasa_compressed_bert.units import MB

HERE = Path(__file__).parent
ROWS = (row_definitions.DEFAULT, "distilled_bilstm", "diet", "lmf_diet")


def main() -> int:
    """Trains and measures what is missing for each data set, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `real_bots_<name>.json`, `.md` and `.png` to the folder of results."""
    title = f"real_bots_{name}"
    work = work_folder(arguments, title)
    bot = read_bot(source, arguments.max_messages)
    training = work / "data" / "train.yml"
    training.parent.mkdir(parents=True, exist_ok=True)
    write_nlu(bot.training, training)
    wanted = [(row, seed) for seed in range(1, arguments.seeds + 1) for row in arguments.rows]
    found: Dict[Any, Dict[str, Any]] = {}
    with tqdm(wanted, desc=title, unit=" models", dynamic_ncols=True) as bar:
        for row, seed in bar:
            bar.set_postfix(model=row_definitions.model_name(row), seed=seed)
            config = row_definitions.row_config(row, epochs=arguments.epochs, diet_epochs=arguments.diet_epochs)
            found[row, seed] = measure(work / f"{row}_{seed}", row_definitions.seeded(config, seed), training, bot)
    outside = sum(message.intent == OUT_OF_SCOPE for message in bot.test)
    content = {
        "data": name,
        "training_messages": len(bot.training),
        "in_scope_messages": len(bot.test) - outside,
        "out_of_scope_messages": outside,
        "seeds": arguments.seeds,
        "command": command_line("benchmarks.real_bots"),
        "environment": environment(),
        "published": bot.published,
        "results": [
            {"model": row_definitions.model_name(row), "seed": seed, **found[row, seed]}
            for row in arguments.rows
            for seed in range(1, arguments.seeds + 1)
        ],
    }
    publish(title, content, to_markdown, folder=arguments.results)
    plot(content, arguments.results / f"{title}.png", title=title)


def measure(folder: Path, config: Dict[str, Any], training: Path, bot: Bot) -> Dict[str, Any]:
    """Trains one model with one seed, unless `folder` has it, and scores it."""
    trained = train_row(folder, config, training)
    archive, texts = folder / "model.tar.gz", [message.text for message in bot.test]
    said = Measured(folder, [file_digest(archive), texts, environment()]).once("served", lambda: served(archive, texts))
    return {
        **scores([message.intent for message in bot.test], said["answers"]),
        "latency_p50_ms": 1000.0 * float(np.median(said["seconds"])),
        "archive_mb": archive.stat().st_size / MB,
        "training_s": trained["training_s"],
        "pipeline": row_definitions.without_folders(config["pipeline"]),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, required=True, help="[NAME=]DIR with the files of a bot of HINT3"
    )
    parser.add_argument("--rows", type=lambda text: text.split(","), default=ROWS, help=",".join(ROWS))
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings of each row")
    parser.add_argument("--epochs", type=int, default=0, help="epochs of our rows; 0 for the default")
    parser.add_argument("--diet-epochs", type=int, default=100, help="epochs of DIET; Rasa's default pipeline has 100")
    parser.add_argument("--max-messages", type=int, default=0, help="size of a sample of the test messages; 0 for all")
    parser.add_argument("--fresh", action="store_true", help="train and measure everything again")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    unknown = [row for row in arguments.rows if not row_definitions.is_trainable(row)]
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}; known: {row_definitions.KNOWN}")
    if len({row_definitions.model_name(row) for row in arguments.rows}) < len(arguments.rows):
        parser.error("--rows: each model once")
    if arguments.seeds < 1:
        parser.error("--seeds: at least 1")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
