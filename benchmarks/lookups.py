"""Lookup tables: recall of values that occur in no training message, a third of the values of SNIPS.

python -m benchmarks.lookups --data snips=DATA/snips --sample 500

For each entity type with at least 20 different values, a random third of the values is removed: messages that contain
one of them are left out of the training data, and the values are written to lookup tables.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Sequence, Set, Tuple

import numpy as np
import yaml

from benchmarks.common import rows as row_definitions
from benchmarks.common.commands import command_line, named_folder, publish, run_all, work_folder
from benchmarks.common.comparing import Row, train_rows
from benchmarks.common.datasets import stratified_sample, write_nlu
from rasa_compressed_bert.benchmark.workers import WorkerProcess
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.metrics.entities import entity_f1
from rasa_compressed_bert.reporting.environment import environment, in_words

HERE = Path(__file__).parent
SHARE = 1 / 3
FEWEST_VALUES = 20
OURS = "rasa_compressed_bert.BertEntityExtractor"
ROWS = ("lookups", "without", "diet_regex")
LABELS = {
    "lookups": "BertEntityExtractor, `lookups: true`",
    "without": "BertEntityExtractor, `lookups: false`",
    "diet_regex": "Rasa's default pipeline (DIET) and RegexEntityExtractor",
}
Value = Tuple[str, str]  # type, and text in lower case


def main() -> int:
    """Trains and measures what is missing for each data set, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `lookups_<name>.json` and `.md` to the folder of results."""
    title = f"lookups_{name}"
    work = work_folder(arguments, title)
    training, test = (load_messages(source / file, entities=True) for file in ("train.yml", "test.yml"))
    removed = removed_values(training)
    kept = [message for message in training if not removed & values_of(message)]
    kept = stratified_sample(kept, arguments.sample)
    nlu = work / "data" / "train.yml"
    nlu.parent.mkdir(parents=True, exist_ok=True)
    write_nlu(kept, nlu)
    with_tables(nlu, removed)
    rows = [Row(work / row, LABELS[row], row_config(row), nlu) for row in arguments.rows]
    trainings = train_rows(rows, title=title)
    chosen = stratified_sample(test, arguments.max_messages)
    results = []
    for row, trained in zip(rows, trainings):
        with WorkerProcess(row.archive, 1) as worker:
            found = worker.parse([message.text for message in chosen])["entities"]
        results.append({"model": row.model, **scores(chosen, found, removed), **trained})
    content = {
        "data": name,
        "training_messages": len(kept),
        "test_messages": len(chosen),
        "lookup_values": len(removed),
        "command": command_line("benchmarks.lookups"),
        "environment": environment(),
        "results": results,
    }
    publish(title, content, to_markdown, folder=arguments.results)


def values_of(message: LabelledMessage) -> Set[Value]:
    """The entities of a message, as type and text."""
    return {_value(message.text, span) for span in message.entities}


def removed_values(messages: Sequence[LabelledMessage], *, seed: int = 42) -> Set[Value]:
    """A random third of the values of each type that has at least 20 of them."""
    by_type: Dict[str, Set[Value]] = defaultdict(set)
    for message in messages:
        for value in values_of(message):
            by_type[value[0]].add(value)
    rng = np.random.default_rng(seed)
    removed: Set[Value] = set()
    for _, values in sorted(by_type.items()):
        if len(values) >= FEWEST_VALUES:
            listed = sorted(values)
            removed.update(listed[place] for place in rng.permutation(len(listed))[: round(SHARE * len(listed))])
    return removed


def with_tables(nlu: Path, removed: Set[Value]) -> None:
    """Adds the lookup tables to a file of training data."""
    data = yaml.safe_load(nlu.read_text(encoding="utf-8"))
    tables: Dict[str, List[str]] = defaultdict(list)
    for kind, text in sorted(removed):
        tables[kind].append(text)
    for kind, texts in tables.items():
        data["nlu"].append({"lookup": kind, "examples": "".join(f"- {text}\n" for text in texts)})
    nlu.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")


def row_config(row: str) -> Dict[str, Any]:
    """A complete config.yml."""
    if row != "diet_regex":
        return row_definitions.complete([{"name": OURS, "lookups": row == "lookups"}])
    config = row_definitions.row_config("diet")
    regex = {"name": "RegexEntityExtractor", "use_lookup_tables": True, "use_regexes": False}
    return {**config, "pipeline": [*config["pipeline"][:-2], regex, *config["pipeline"][-2:]]}


def scores(
    messages: Sequence[LabelledMessage], found: Sequence[Sequence[Sequence[Any]]], removed: Set[Value]
) -> Dict[str, Any]:
    """Recall of values that are only in tables, F1 of all entities, and F1 in messages without such values."""
    predicted = [[EntitySpan(*span) for span in spans] for spans in found]
    wanted = right = 0
    rest = []
    for index, message in enumerate(messages):
        listed = [span for span in message.entities if _value(message.text, span) in removed]
        wanted += len(listed)
        right += sum(span[:3] in {one[:3] for one in predicted[index]} for span in listed)
        if not listed:
            rest.append(index)
    return {
        "lookup_entities": wanted,
        "lookup_recall": right / wanted if wanted else None,
        "entity_f1": entity_f1([message.entities for message in messages], predicted),
        "rest_f1": entity_f1([messages[index].entities for index in rest], [predicted[index] for index in rest]),
    }


def to_markdown(name: str, content: Dict[str, Any]) -> str:
    """The page of a data set."""
    lines = [
        f"# {name}",
        "",
        f"{content['training_messages']} training messages; {content['lookup_values']} values are in lookup tables and "
        f"in none of them. {content['test_messages']} test messages with "
        f"{content['results'][0]['lookup_entities']} entities of such values.",
        "",
        "| model | recall of lookup values | F1 of all entities | F1 of messages without lookup values | training s |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in content["results"]:
        figures = " | ".join(f"{100 * row[key]:.1f} %" for key in ("lookup_recall", "entity_f1", "rest_f1"))
        lines.append(f"| {row['model']} | {figures} | {row['training_s']:.0f} |")
    made = f"Made by `{content['command']}` on {in_words(content['environment'])}."
    return "\n".join([*lines, "", made, ""])


def _value(text: str, span: EntitySpan) -> Value:
    return span.entity, text[span.start : span.end].lower()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, required=True, help="[NAME=]DIR with train.yml and test.yml"
    )
    parser.add_argument("--rows", type=lambda text: text.split(","), default=list(ROWS), help=",".join(ROWS))
    parser.add_argument("--sample", type=int, default=500, help="stratified training sample; 0 for all")
    parser.add_argument("--max-messages", type=int, default=0, help="size of a sample of the test messages; 0 for all")
    parser.add_argument("--fresh", action="store_true", help="train and measure everything again")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    unknown = [row for row in arguments.rows if row not in ROWS]
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}; known: {', '.join(ROWS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
