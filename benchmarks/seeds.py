"""The cost of compression over several seeds: each row is compared with the dense model of the same seed.

python -m benchmarks.seeds --data sara2019=DATA/sara2019 --sample 0
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from benchmarks.common import rows as row_definitions
from benchmarks.common.commands import command_line, named_folder, publish, run_all
from benchmarks.common.datasets import prepare_examples
from benchmarks.common.names import colour_of, data_of, name_of
from benchmarks.common.scores import deviation, mean_and_deviation, scores_of, seeds_in_words
from benchmarks.common.training import file_digest, model_code
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.reporting.plots import drawn
from rasa_compressed_bert.reporting.resumable import Results
from rasa_compressed_bert.tasks.bert_training import train_bert

HERE = Path(__file__).parent
ROWS = ("dense_fp32", "60", "80")
SCORES = {"accuracy": "accuracy", "macro_f1": "macro F1"}


def main() -> int:
    """Trains all rows with all seeds for each data set, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `seeds_<name>.json`, `.md` and `.png`."""
    title = f"seeds_{name}"
    work = arguments.work / title
    training, test = prepare_examples(source, work / "data", sample=arguments.sample)
    digests = [file_digest(work / "data" / f"{part}.yml") for part in ("train", "test")]
    made_from = {"data": digests, "environment": environment(), "code": model_code()}
    results = Results(work / "cells.json", {}, identity=made_from, fresh=arguments.fresh)
    wanted = [(seed, row) for seed in range(1, arguments.seeds + 1) for row in arguments.rows]
    with tqdm(wanted, desc=title, unit=" trainings", dynamic_ncols=True) as bar:
        for seed, row in bar:
            cell = {"seed": seed, "model": row_definitions.model_name(row)}
            bar.set_postfix(cell)
            if cell not in results:
                results.add({**cell, **trained(row, seed, training, test)})
    found = {(cell["seed"], cell["model"]): cell for cell in results.content["cells"]}
    content = {
        "data": name,
        "training_messages": len(training),
        "test_messages": len(test),
        "command": command_line("benchmarks.seeds"),
        "environment": environment(),
        "results": [found[seed, row_definitions.model_name(row)] for seed, row in wanted],
    }
    publish(title, content, to_markdown, folder=arguments.results)
    plot(content, arguments.results / f"{title}.png", title=title)


def trained(row: str, seed: int, training: Sequence[Example], test: Sequence[Example]) -> Dict[str, Any]:
    """Trains a model, and returns scores of the served model on the test messages."""
    (item,) = row_definitions.row_config(row)["pipeline"]
    options = {key: value for key, value in item.items() if key != "name"}
    artifact = train_bert(training, PrunedBertIntentClassifierConfig.from_dict({**options, "random_seed": seed}))
    return scores_of(artifact, test)


def differences(cells: Sequence[Mapping[str, Any]], model: str, score: str) -> np.ndarray:
    """Differences of a row from the first row of the table in points, for each seed.  # (seeds,)"""
    values = {(cell["model"], cell["seed"]): cell[score] for cell in cells}
    first = cells[0]["model"]
    seeds = sorted({seed for _, seed in values})
    return np.array([100.0 * (values[model, seed] - values[first, seed]) for seed in seeds])


def to_markdown(title: str, content: Mapping[str, Any]) -> str:
    """A page with mean and sample standard deviation of each row, and of its differences from the first one."""
    cells, seeds = content["results"], len({cell["seed"] for cell in content["results"]})
    first, *_ = models = list(dict.fromkeys(cell["model"] for cell in cells))
    table = [["model", *(part for score in SCORES.values() for part in (score, f"{score}, difference"))]]
    for model in models:
        own = [cell for cell in cells if cell["model"] == model]
        row = [name_of(model)]
        for score in SCORES:
            row.append(mean_and_deviation([cell[score] for cell in own], unit=" %"))
            above = mean_and_deviation(differences(cells, model, score), scale=1.0, sign="+")
            row.append("" if model == first else above)
        table.append(row)
    return f"""# {title}

{content["training_messages"]} training messages, {content["test_messages"]} test messages. {seeds_in_words(seeds)}
A seed also draws other held-out messages. The difference is that to {name_of(first)} with the same seed.
Models are scored as they are served, without Rasa around them.

{tables.markdown_table(table)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def plot(content: Mapping[str, Any], path: Path, *, title: str) -> None:
    """Writes a PNG: each score of each seed, with mean and standard deviation."""
    cells: List[Mapping[str, Any]] = content["results"]
    models = list(dict.fromkeys(cell["model"] for cell in cells))
    seeds = sorted({cell["seed"] for cell in cells})
    with drawn(path, figsize=(11, 4.5), ncols=len(SCORES)) as (figure, panels):
        for axes, (score, label) in zip(panels, SCORES.items()):
            for place, model in enumerate(models):
                name, values = name_of(model), [100.0 * cell[score] for cell in cells if cell["model"] == model]
                colour = colour_of(name, place)
                axes.scatter([place] * len(values), values, color=colour, alpha=0.4, s=30)
                axes.errorbar(place + 0.15, np.mean(values), yerr=deviation(values), fmt="o", color=colour, capsize=4)
            axes.set_xticks(range(len(models)))
            axes.set_xticklabels([name_of(model).replace(", ", ",\n").replace(" (", "\n(") for model in models])
            axes.set_xlim(-0.5, len(models) - 0.3)
            axes.set_ylabel(f"{label}, %")
            axes.grid(True, axis="y", alpha=0.3)
        figure.suptitle(f"{data_of(title)}: each of {len(seeds)} seeds (pale), and their mean and standard deviation")
        figure.tight_layout()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, required=True, help="[NAME=]DIR with train.yml and test.yml"
    )
    parser.add_argument("--sample", type=int, default=2000, help="stratified training sample; 0 for all")
    parser.add_argument("--rows", type=lambda text: text.split(","), default=ROWS, help=",".join(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="train everything again")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of scores")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    refused = [row for row in arguments.rows if not row_definitions.is_bert(row) or "joint" in row]
    if refused or arguments.seeds < 1:
        parser.error(f"--rows are a BERT's for intents ({', '.join(ROWS)}, a percentage, trim_SIZE); --seeds 1 or more")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
