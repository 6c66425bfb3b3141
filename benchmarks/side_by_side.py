"""Score, latency, throughput, size, memory, load and training time of our components and of Rasa's own pipelines.

python -m benchmarks.side_by_side --data snips=DATA/snips --data clinc150=DATA/clinc150
python -m benchmarks.side_by_side --data snips=DATA/snips --entities --rows keyword,diet,60,joint_dense_fp32,joint_60
python -m benchmarks.side_by_side --short
"""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Optional

from benchmarks.common import comparing
from benchmarks.common import rows as row_definitions
from benchmarks.common.commands import command_line, named_folder, run_all, work_folder
from benchmarks.common.datasets import prepare
from benchmarks.common.pages import write_results
from rasa_compressed_bert.benchmark.server import throughput
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.inspection.description import inspect_model
from rasa_compressed_bert.reporting.environment import environment

logger = logging.getLogger("benchmarks")
HERE = Path(__file__).parent
OUT_OF_SCOPE = "oos_test.yml"
_SCORES = (
    *("accuracy", "macro_f1", "calibration_error", "below_threshold", "out_of_scope_auroc"),
    *("fallback_f1", "best_fallback_f1", "best_fallback_threshold"),
)
EXAMPLE_BOT = HERE.parent / "example_bot" / "data" / "nlu.yml"


def main() -> int:
    """Trains what is missing, measures all rows of a data set in one run, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `<name>.json`, `<name>.md` and `<name>.png` to the folder of results."""
    title = ("entities_" if arguments.entities else "") + name
    title += "" if arguments.sample or arguments.short else "_full"
    work = work_folder(arguments, title)
    training, test = prepare(source, work / "data", sample=arguments.sample, entities=arguments.entities)
    rows = [
        comparing.Row(
            work / row,
            row_definitions.model_name(row),
            row_definitions.row_config(row, epochs=arguments.epochs, diet_epochs=arguments.diet_epochs),
            work / "data" / "keyword.yml" if row == "keyword" else training,
        )
        for row in arguments.rows
    ]
    trainings = comparing.train_rows(rows, title=title, reuse=arguments.reuse)
    messages = load_messages(test, arguments.max_messages, entities=arguments.entities)
    outside = load_messages(source / OUT_OF_SCOPE) if (source / OUT_OF_SCOPE).is_file() else []
    measured, results = comparing.compare_rows(
        rows, test, messages=messages, outside=[message.text for message in outside], work=work, pause=arguments.pause
    )
    failed = []
    for row_name, row, trained, result in zip(arguments.rows, rows, trainings, results):
        if arguments.http:
            logger.info(f"{title}: {row.model} behind its server")
            try:
                asked = partial(throughput, row.archive, [message.text for message in messages], seconds=arguments.http)
                result.update(measured.once(f"{arguments.http:g} seconds of {row_name}", asked))
            except CompressedBertError as error:  # stored in the row, so that the others are not lost
                logger.error(str(error))
                published = str(error).splitlines()[0].replace(str(row.archive), "model.tar.gz")
                failed.append(f"The server of {row.model} failed: {published}")
        result.update(trained)
        if row_name == "keyword":  # its score is meaningless: it only shows the time that Rasa itself takes
            result.update(dict.fromkeys(_SCORES))
        if row_definitions.is_ours(row_name):
            result["sparsity"] = _sparsity(row.archive)
    content = {
        "data": name,
        "training_messages": len(load_messages(training)),
        "test_messages": len(messages),
        "command": command_line("benchmarks.side_by_side"),
        "environment": environment(),
        "failed": failed,
        "results": results,
    }
    write_results(title, content, folder=arguments.results)


def _sparsity(model: Path) -> Optional[float]:
    """The sparsity of the encoder; None for a student that is not a BERT."""
    component = next(iter(inspect_model(model)["components"].values()))
    return component.get("sparsity")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", action="append", type=named_folder, help="[NAME=]DIR with train.yml and test.yml")
    parser.add_argument("--sample", type=int, default=3000, help="stratified training sample; 0 for all")
    parser.add_argument("--http", type=float, default=5.0, help="seconds of load on each server; 0 to leave it out")
    parser.add_argument(
        "--pause",
        type=float,
        default=0.1,
        help="pause in seconds before each of 50 messages that are timed again; 0: none",
    )
    parser.add_argument("--entities", action="store_true", help="keep and score the entities of the data")
    parser.add_argument("--rows", type=lambda text: text.split(","), help=",".join(row_definitions.ROWS))
    parser.add_argument("--short", action="store_true", help="a quick run on the example bot's data")
    parser.add_argument("--fresh", action="store_true", help="train and measure everything again")
    parser.add_argument(
        "--reuse", action="store_true", help="also reuse models of other code or libraries; results say so"
    )
    parser.add_argument("--epochs", type=int, default=0, help="epochs of our rows; 0 for the default")
    parser.add_argument("--diet-epochs", type=int, default=100, help="epochs of DIET; Rasa's default pipeline has 100")
    parser.add_argument(
        "--max-messages", type=int, default=0, help="size of a random sample of the test messages; 0 for all"
    )
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, help="default: benchmarks/results, or the work folder with --short")
    arguments = parser.parse_args()
    if not arguments.data and not arguments.short:
        parser.error("--data or --short is needed")
    _fill_in(parser, arguments)
    return arguments


def _fill_in(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    short = arguments.short
    arguments.data = arguments.data or [("short", EXAMPLE_BOT)]
    arguments.entities = arguments.entities or short
    usual = row_definitions.SHORT_ROWS if short else row_definitions.ROWS
    # Without entities, a joint row equals the classifier
    usual = [row for row in usual if arguments.entities or not row.startswith(row_definitions.BOTH)]
    arguments.rows = arguments.rows or usual
    arguments.results = arguments.results or (arguments.work if short else HERE / "results")
    known = row_definitions.ROWS
    unknown = [row for row in arguments.rows if row not in known and not row_definitions.is_bert(row)]
    if unknown:
        every = ", ".join(known)
        parser.error(f"unknown rows: {', '.join(unknown)}; known: {every}, a percentage, trim_SIZE, joint_ROW")


if __name__ == "__main__":
    sys.exit(main())
