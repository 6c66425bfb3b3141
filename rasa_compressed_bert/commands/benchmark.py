"""`benchmark`: comparison of trained models."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, Sequence

from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import make_folder, not_negative, positive
from rasa_compressed_bert.errors import CompressedBertError

_FILES = ("results.json", "results.png")


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    benchmark = add_command(
        commands,
        "benchmark",
        run=run,
        help="compare trained models on the same messages",
        description="Measures trained models side by side on the same messages: scores, latency, size, memory and load "
        "time. Models of Rasa's own components are measured in the same way. With --questions, answer extractors are "
        "compared on questions about passages.",
        examples=[
            "benchmark models/pruned.tar.gz models/diet.tar.gz --nlu test.yml",
            "benchmark models/*.tar.gz --nlu test.yml --out-of-scope oos.yml --http 10 --out results",
            "benchmark models/dense.tar.gz models/pruned.tar.gz --questions squad/dev.json",
        ],
    )
    benchmark.add_argument(
        "models", nargs="+", type=Path, metavar="MODEL", help="trained models, or folders of models (the newest)"
    )
    asked = benchmark.add_mutually_exclusive_group(required=True)
    asked.add_argument("--nlu", type=Path, metavar="TEST.yml", help="NLU data with intents")
    asked.add_argument(
        "--questions",
        type=Path,
        metavar="TEST.json",
        help="questions in the format of SQuAD 2.0 for BertAnswerExtractor, each on its own passage",
    )
    benchmark.add_argument(
        "--out",
        type=Path,
        default=Path("benchmark_results"),
        metavar="FOLDER",
        help="folder for results.json and results.png",
    )
    benchmark.add_argument(
        "--out-of-scope",
        type=Path,
        metavar="OOS.yml",
        help="NLU data of messages that belong to no intent, to measure how well confidences separate them",
    )
    benchmark.add_argument(
        "--http",
        type=not_negative,
        default=0.0,
        metavar="SECONDS",
        help="also start a server for each model, and send requests for this long; 0 starts none (not on Windows)",
    )
    benchmark.add_argument(
        "--pause",
        type=not_negative,
        default=0.0,
        metavar="SECONDS",
        help="time 50 messages again, with this pause before each, as in a bot with little traffic; 0 skips this",
    )
    benchmark.add_argument("--threads", type=positive, default=1, metavar="N", help="threads of each model's libraries")
    benchmark.add_argument(
        "--rounds",
        type=positive,
        default=50,
        metavar="N",
        help="number of parts to split the messages into; models take turns after each part (or after each question)",
    )
    benchmark.add_argument(
        "--max-messages",
        type=positive,
        metavar="N",
        help="measure on a random sample of N messages or questions (default: all)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Compares trained models on messages or on questions.

    Raises:
        CompressedBertError: if a model cannot be compared; if a server failed, after all other results were written.
    """
    if arguments.questions:
        run_on_questions(arguments)
        return
    from rasa_compressed_bert.artifact.archives import archive_path, require_nlu
    from rasa_compressed_bert.benchmark.comparison import compare_models
    from rasa_compressed_bert.benchmark.report import comparison_blocks, plot_comparison
    from rasa_compressed_bert.benchmark.server import throughput
    from rasa_compressed_bert.components.nlu_files import load_messages
    from rasa_compressed_bert.data.counts import counted
    from rasa_compressed_bert.reporting.blocks import Lines
    from rasa_compressed_bert.reporting.environment import environment
    from rasa_compressed_bert.reporting.terminal import show

    if arguments.http and sys.platform == "win32":  # Rasa's workers and their process group need Unix
        raise CompressedBertError("--http: servers cannot be measured on Windows; leave it out.")
    archives = [archive_path(model) for model in arguments.models]
    for archive in archives:
        require_nlu(archive)
    messages = load_messages(arguments.nlu, arguments.max_messages or 0, entities=True)
    outside = load_messages(arguments.out_of_scope) if arguments.out_of_scope else []
    _make_results_folder(arguments.out)
    results = compare_models(
        labelled(archives),
        messages,
        out_of_scope=[message.text for message in outside],
        threads=arguments.threads,
        rounds=arguments.rounds,
        pause=arguments.pause,
    )
    texts = [message.text for message in messages]
    content = {"nlu": arguments.nlu.name, "threads": arguments.threads, **environment(), "results": results}
    _write(content, arguments.out)  # already here, as starting servers takes minutes and may be interrupted
    failed = []
    for archive, result in zip(archives, results if arguments.http else []):
        try:
            result.update(throughput(archive, texts, seconds=arguments.http, threads=arguments.threads))
        except CompressedBertError as error:  # the other results are still written
            failed.append(f"The server of {result['model']} failed: {error}")
    _write(content, arguments.out)
    title = f"{counted(len(messages), 'message', 'messages')} of {arguments.nlu.name}"
    plot_comparison(results, arguments.out / "results.png", title=title)
    written = Lines([f"Written: {arguments.out / 'results.json'}", f"Written: {arguments.out / 'results.png'}"])
    show([*comparison_blocks(results), written])
    if failed:
        raise CompressedBertError("\n".join(failed))


def run_on_questions(arguments: argparse.Namespace) -> None:
    """Compares trained answer extractors.

    Raises:
        CompressedBertError: if an option is for messages only, or if a model cannot be compared.
    """
    from rasa_compressed_bert.artifact.archives import archive_path, is_artifact, last_with
    from rasa_compressed_bert.benchmark.answers import compare_answers
    from rasa_compressed_bert.benchmark.answers_report import answer_blocks, plot_answers
    from rasa_compressed_bert.commands.questions import load_questions
    from rasa_compressed_bert.data.counts import counted
    from rasa_compressed_bert.reporting.blocks import Lines
    from rasa_compressed_bert.reporting.environment import environment
    from rasa_compressed_bert.reporting.terminal import show
    from rasa_compressed_bert.runtime.decoders import ANSWERS

    if arguments.http or arguments.out_of_scope or arguments.pause:
        raise CompressedBertError("--http, --out-of-scope and --pause are for --nlu: leave them out with --questions.")
    paths = [model if is_artifact(model) else archive_path(model) for model in arguments.models]
    models = {
        label: last_with(path, ANSWERS, component="BertAnswerExtractor") for label, path in labelled(paths).items()
    }
    questions = load_questions(arguments.questions, arguments.max_messages or 0)
    _make_results_folder(arguments.out)
    results = compare_answers(models, questions, threads=arguments.threads)
    content = {"questions": arguments.questions.name, "threads": arguments.threads, **environment(), "results": results}
    written = [arguments.out / name for name in _FILES]
    _write(content, arguments.out)
    title = f"{counted(len(questions), 'question', 'questions')} of {arguments.questions.name}"
    plot_answers(results, written[1], title=title)
    show([*answer_blocks(results), Lines([f"Written: {path}" for path in written])])


def _make_results_folder(out: Path) -> None:
    """Makes the folder of the results, unless it has those of `sensitivity`, whose file has the same name.

    Raises:
        CompressedBertError: if it has, or if the results cannot be written.
    """
    make_folder(out, files=_FILES)
    try:
        content = json.loads((out / _FILES[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # there is none, or it is not whole
        return
    if isinstance(content, dict) and "cells" in content:
        raise CompressedBertError(f"--out: '{out}' has results of `sensitivity`, which would be lost; name another.")


def _write(content: Dict[str, Any], out: Path) -> None:
    (out / _FILES[0]).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def labelled(archives: Sequence[Path]) -> Dict[str, Path]:
    """A short name for each archive: its file name, preceded by as many folders as are needed to distinguish all."""
    paths = [Path(os.path.abspath(archive)) for archive in archives]  # '.' has no name
    full = [(path.parent.resolve() / path.name.replace(".tar.gz", "")).parts for path in paths]
    if len(set(full)) < len(full):
        raise CompressedBertError("The same model is given twice.")
    length = next(size for size in range(1, 1000) if len({parts[-size:] for parts in full}) == len(full))
    return {"/".join(parts[-length:]): archive for parts, archive in zip(full, archives)}
