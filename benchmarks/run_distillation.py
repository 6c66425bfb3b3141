"""Students trained on labels only and by a teacher, and that teacher, with several seeds.

python -m benchmarks.run_distillation --data clinc150=DATA/clinc150 --data sara2019=DATA/sara2019
"""

from __future__ import annotations

import argparse
import functools
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from benchmarks.common.commands import command_line, named_folder, publish, run_all
from benchmarks.common.datasets import prepare_examples
from benchmarks.common.names import colour_of, data_of, name_of
from benchmarks.common.plots import panel
from benchmarks.common.rows import STUDENT
from benchmarks.common.scores import deviation, mean_and_deviation, scores_of, seeds_in_words
from benchmarks.common.training import digest_of, file_digest, libraries, model_code
from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact, write_artifact
from rasa_compressed_bert.artifact.cache import cached
from rasa_compressed_bert.benchmark.latency import SHORT_MESSAGE, in_turns
from rasa_compressed_bert.config import DistilledIntentClassifierConfig, QuantizationConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.inspection.description import describe
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.reporting.resumable import Results
from rasa_compressed_bert.reporting.trade_off import plain_ticks
from rasa_compressed_bert.runtime.predictors import open_predictor
from rasa_compressed_bert.tasks.bert_training import requantize_bert, train_bert
from rasa_compressed_bert.tasks.distillation import train_distilled_classifier
from rasa_compressed_bert.units import MB

logger = logging.getLogger("benchmarks")
HERE = Path(__file__).parent
_CACHED_BYTES = 4e9
STUDENTS: Dict[str, Dict[str, Any]] = {
    **{name: {"architecture": name} for name in ("ngrams", "bilstm", "transformer", "spacy_textcat")},
    "bilstm_small": {"architecture": "bilstm", "vocabulary_size": 8000},  # a hundredth of BERT-base's parameters
}
TEACHER = "teacher"
TEACHERS = {TEACHER: "none", "teacher_int8": "dynamic_int8"}
ALONE = {"epochs": 30, "augmentation": {"n_iter": 0}, "distillation": {"alpha": 1.0}}


def main() -> int:
    """Trains a teacher and its students for each data set, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `distillation_<name>.json`, `.md` and `.png`."""
    title = f"distillation_{name}"
    data = arguments.work / title / "data"
    examples, messages = prepare_examples(source, data, sample=arguments.sample)
    made_from = {"files": [file_digest(data / f"{part}.yml") for part in ("train", "test")], "code": model_code()}
    work = arguments.work / title / digest_of({**made_from, **libraries()})
    about = {"data": name, "training_messages": len(examples), "test_messages": len(messages)}
    results = Results(
        arguments.results / f"{title}.json",
        {**about, "command": command_line("benchmarks.run_distillation"), "environment": environment()},
        identity={"data": about, "n_iter": arguments.n_iter, **made_from},
        fresh=arguments.fresh,
    )
    for name, quantization in TEACHERS.items():
        results.update(**{name: _measured(_teacher(work, name, examples, quantization), messages)})
    cells = [
        (student, seed, distilled)
        for seed in range(1, arguments.seeds + 1)
        for student in arguments.students
        for distilled in (False, True)
    ]
    with tqdm(cells, desc=title, unit=" trainings", dynamic_ncols=True) as bar:
        for student, seed, distilled in bar:
            cell = {"student": student, "seed": seed, "distilled": distilled}
            bar.set_postfix(cell)
            if cell not in results:
                start = time.perf_counter()
                artifact = _student(examples, work, student, seed, n_iter=arguments.n_iter if distilled else 0)
                results.add({**cell, **_measured(artifact, messages), "training_s": time.perf_counter() - start})
                write_artifact(artifact, work / f"{student}_{seed}_{distilled}")
    results.update(latency_ms=_latencies(work, results.content["cells"]))
    publish(title, results.content, to_markdown, folder=arguments.results)
    plot(results.content, arguments.results / f"{title}.png", title=title)


def _teacher(work: Path, name: str, examples: Sequence[Example], quantization: str) -> Artifact:
    """Trains the teacher of all students, or reads it from the folder; `quantization` is its format.

    Args:
        work: a folder for only these examples and this code.
        name: the name of the teacher.
        examples: the training examples.
        quantization: the method of quantization.
    """
    if not (work / name).exists():
        options = DistilledIntentClassifierConfig.from_dict({}).teacher_options()
        if name == TEACHER:
            artifact = train_bert(examples, options)
        else:
            served = replace(options, quantization=QuantizationConfig(method=quantization))
            artifact = requantize_bert(examples, served, read_artifact(work / TEACHER))
        write_artifact(artifact, work / name)
    return read_artifact(work / name)


def _student(examples: Sequence[Example], work: Path, student: str, seed: int, *, n_iter: int) -> Artifact:
    """Trains a student: by the teacher if there are synthetic messages, else on labels only, for more epochs."""
    options: Dict[str, Any] = {"augmentation": {"n_iter": n_iter}} if n_iter else ALONE
    config = DistilledIntentClassifierConfig.from_dict(
        {
            **options,
            "random_seed": seed,
            "student": STUDENTS[student],
            "teacher": {"model": str(work / TEACHER)},
        }
    )
    keep = functools.partial(cached, work / "cache", most=_CACHED_BYTES)
    return train_distilled_classifier(examples, config, cache=keep)


def _measured(artifact: Artifact, messages: Sequence[Example]) -> Dict[str, Any]:
    report = describe(artifact)
    parameters = report["parameters"]
    return {
        **scores_of(artifact, messages),
        "archived_mb": report["bytes"]["archived"] / MB,
        "parameters": parameters["now"] if isinstance(parameters, dict) else parameters,
    }


def _latencies(work: Path, cells: Sequence[Mapping[str, Any]]) -> Dict[str, float]:
    """p50 milliseconds of the predictors with their tokenizers, without Rasa, on one thread, in turns."""
    folders = {name: work / name for name in TEACHERS}
    for cell in cells:
        if cell["distilled"]:
            folders[cell["student"]] = work / f"{cell['student']}_{cell['seed']}_True"
    calls = {
        name: functools.partial(open_predictor(read_artifact(folder)).predict, SHORT_MESSAGE)
        for name, folder in folders.items()
    }
    return in_turns(calls)


def summary(content: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Scores of each seed and sizes of each student, trained on labels only and distilled."""
    rows = []
    for student in dict.fromkeys(cell["student"] for cell in content["cells"]):
        for distilled in (False, True):
            own = [c for c in content["cells"] if (c["student"], c["distilled"]) == (student, distilled)]
            scores = {key: [cell[key] for cell in own] for key in ("accuracy", "macro_f1")}
            rows.append({"student": student, "distilled": distilled, "cells": own, "scores": scores})
    return rows


def to_markdown(title: str, content: Mapping[str, Any]) -> str:
    """A page with the table, and how it was measured."""
    latency = content["latency_ms"]
    table = [["model", "learnt from", "accuracy", "macro F1", "parameters, million", "MB archived", "ms", "training s"]]
    for name in TEACHERS:
        teacher = content[name]
        table.append(
            [
                name.replace("_", ", "),
                "labels",
                tables.percent(teacher["accuracy"]),
                tables.percent(teacher["macro_f1"]),
            ]
            + [f"{teacher['parameters'] / MB:.2f}", f"{teacher['archived_mb']:.2f}", f"{latency[name]:.3f}", ""]
        )
    for row in summary(content):
        cells = row["cells"]
        parameters = cells[0]["parameters"]
        table.append(
            [name_of(f"{STUDENT}{row['student']}"), "teacher" if row["distilled"] else "labels"]
            + [mean_and_deviation(row["scores"][key], unit=" %") for key in ("accuracy", "macro_f1")]
            + [f"{parameters / MB:.2f}" if parameters else "", f"{np.mean([c['archived_mb'] for c in cells]):.2f}"]
            + [f"{latency[row['student']]:.3f}" if row["distilled"] else ""]
            + [f"{np.mean([cell['training_s'] for cell in cells]):.0f}"]
        )
    return f"""# {title}

{content["training_messages"]} training messages, {content["test_messages"]} test messages.
{seeds_in_words(len({cell["seed"] for cell in content["cells"]}))} The teacher is the same (MiniLM, fine-tuned, floats).
Learnt from labels: 30 epochs, without a synthetic message. Learnt from the teacher: as it comes, with
{content["made_from"]["n_iter"]} synthetic messages of each training message, less the repeated ones. Both start from
the teacher's embeddings. ms: p50 of the predictor alone, one thread, tokenizer included, in turns. training: of
the student, on all cores, with the teacher's answers where it is the first to need them.

{tables.markdown_table(table)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def plot(content: Mapping[str, Any], path: Path, *, title: str) -> None:
    """Writes a PNG: macro F1 over milliseconds, with a colour per student; hollow if trained on labels only."""
    labels = ("milliseconds a message (median), predictor alone", "macro F1, %")
    heading = f"{data_of(title)}: what a student gains from a teacher"
    with panel(path, title=heading, labels=labels, size=(8, 4.5)) as axes:
        axes.axhline(100 * content[TEACHER]["macro_f1"], color="grey", linestyle="--", label="teacher, 32-bit")
        rows = summary(content)
        for row in rows:
            point: Tuple[float, float] = (
                content["latency_ms"][row["student"]],
                100 * np.mean(row["scores"]["macro_f1"]),
            )
            name = name_of(f"{STUDENT}{row['student']}")
            colour = colour_of(name, rows.index(row) // 2)
            face = colour if row["distilled"] else "none"
            label = f"{name}, {'from the teacher' if row['distilled'] else 'from labels alone'}"
            error = 100 * deviation(row["scores"]["macro_f1"])
            axes.errorbar(*point, yerr=error, fmt="o", color=colour, markerfacecolor=face, label=label)
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, required=True, help="[NAME=]DIR with train.yml and test.yml"
    )
    parser.add_argument("--sample", type=int, default=2000, help="stratified training sample; 0 for all")
    parser.add_argument("--students", type=lambda text: text.split(","), default=STUDENTS, help=",".join(STUDENTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-iter", type=int, default=20, help="synthetic messages per training message")
    parser.add_argument("--fresh", action="store_true", help="train all students again")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
