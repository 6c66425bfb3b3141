"""Few training messages per intent: our models, frozen features, Rasa's pipelines, and published accuracies.

python -m benchmarks.few_shot --data clinc150=DATA/clinc150_fewshot --test DATA/clinc150

A data set is a folder with `train_5.yml`, `train_10.yml` and so on, or with one `train.yml`, from which each seed draws
its own messages. Published figures are added for names that begin with `banking77`, `clinc150` or `hwu64`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List

from tqdm import tqdm

from benchmarks.common import rows as row_definitions
from benchmarks.common.commands import command_line, named_folder, publish, run_all, work_folder
from benchmarks.common.few_shot_data import find_test, has_own_part, published_for, shots_of, write_training
from benchmarks.common.few_shot_pages import FROZEN, plot, to_markdown
from benchmarks.common.frozen import frozen_scores
from benchmarks.common.measured import Measured
from benchmarks.common.scores import scores_of
from benchmarks.common.served import served
from benchmarks.common.training import file_digest, libraries, model_code, train_row
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example, LabelledMessage
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.reporting.environment import environment
from rasa_compressed_bert.tasks.bert_training import train_bert

HERE = Path(__file__).parent
ROWS = (row_definitions.DEFAULT, "dense_fp32", FROZEN)


def main() -> int:
    """Trains and scores what is missing for each data set, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `few_shot_<name>.json`, `.md` and `.png` to the folder of results."""
    title = f"few_shot_{name}"
    work = work_folder(arguments, title)
    test = load_messages(find_test(source, arguments.test), arguments.max_messages)
    results: List[Dict[str, Any]] = []
    wanted = [
        (shots, seed, row)
        for shots in shots_of(source, arguments.shots)
        for row in arguments.rows
        for seed in range(1, arguments.seeds + 1)
        if row != FROZEN or seed == 1 or not has_own_part(source, shots)  # the same for every seed
    ]
    with tqdm(wanted, desc=title, unit=" models", dynamic_ncols=True) as bar:
        for shots, seed, row in bar:
            cell = {"shots": shots, "model": row_definitions.model_name(row), "seed": seed}
            bar.set_postfix(cell)
            training = write_training(source, work / "data", shots=shots, seed=seed)
            scores = measure(row, seed, training, test, folder=work / f"{row}_{shots}_{seed}", arguments=arguments)
            results.append({**cell, "training_messages": len(load_messages(training)), **scores})
    content = {
        "data": name,
        "test_messages": len(test),
        "seeds": arguments.seeds,
        "drawn": [shots for shots in shots_of(source, arguments.shots) if not has_own_part(source, shots)],
        "command": command_line("benchmarks.few_shot"),
        "environment": environment(),
        "published": published_for(name),
        "results": results,
    }
    publish(title, content, to_markdown, folder=arguments.results)
    plot(content, arguments.results / f"{title}.png", title=title)


def measure(
    row: str, seed: int, training: Path, test: List[LabelledMessage], *, folder: Path, arguments: argparse.Namespace
) -> Dict[str, float]:
    """Accuracy and macro F1 of one model; those in `folder` are reused if data, options, code and libraries agree."""
    kind = row_definitions.DEFAULT if row == FROZEN else row
    config = row_definitions.row_config(kind, epochs=arguments.epochs, diet_epochs=arguments.diet_epochs)
    config = row_definitions.seeded(config, seed)
    code = model_code(is_ours=row_definitions.is_ours(row))
    kept = Measured(folder, [row, config, file_digest(training), test, code, libraries()])
    return kept.once("scores", lambda: trained(row, config, training, test, folder=folder))


def trained(
    row: str, config: Dict[str, Any], training: Path, test: List[LabelledMessage], *, folder: Path
) -> Dict[str, float]:
    """Trains a model, and scores the served model."""
    if row != FROZEN and (not row_definitions.is_bert(row) or row.startswith(row_definitions.BOTH)):
        train_row(folder, config, training)
        answers = served(folder / "model.tar.gz", [message.text for message in test])["answers"]
        return intent_scores([message.intent for message in test], [answer["intent"] for answer in answers])
    (item,) = config["pipeline"]
    options = {key: value for key, value in item.items() if key != "name"}
    parsed = PrunedBertIntentClassifierConfig.from_dict(options)
    examples, expected = (
        [Example(item.text, item.intent) for item in part] for part in (load_messages(training), test)
    )
    return frozen_scores(examples, expected, parsed) if row == FROZEN else scores_of(train_bert(examples, parsed), test)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, required=True, help="[NAME=]DIR with train_<k>.yml or train.yml"
    )
    parser.add_argument("--test", type=Path, help="test.yml or its folder, if DIR has none")
    parser.add_argument(
        "--shots",
        type=lambda text: [int(part) for part in text.split(",")],
        help="training messages per intent; default: those of DIR/train_<k>.yml, or 5,10",
    )
    parser.add_argument("--rows", type=lambda text: text.split(","), default=ROWS, help=",".join((*ROWS, "diet")))
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of trainings of each row with each number of shots"
    )
    parser.add_argument("--epochs", type=int, default=0, help="epochs of our rows; 0 for the default")
    parser.add_argument("--diet-epochs", type=int, default=100, help="epochs of DIET; Rasa's default pipeline has 100")
    parser.add_argument(
        "--max-messages", type=int, default=0, help="size of a random sample of the test messages; 0 for all"
    )
    parser.add_argument("--fresh", action="store_true", help="train everything again")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of scores")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    unknown = [row for row in arguments.rows if row != FROZEN and not row_definitions.is_trainable(row)]
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}; known: {FROZEN}, {row_definitions.KNOWN}")
    if len({row_definitions.model_name(row) for row in arguments.rows}) < len(arguments.rows):
        parser.error("--rows: each model once")
    if arguments.seeds < 1 or min(arguments.shots or [1]) < 1:
        parser.error("--seeds and --shots: at least 1")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
