"""`benchmark`: trained models side by side."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Dict, Sequence

from rasa_compressed_bert.commands.options import make_folder, positive, write
from rasa_compressed_bert.errors import CompressedBertError


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    benchmark = commands.add_parser("benchmark", help="trained models side by side on the same messages")
    benchmark.set_defaults(run=run)
    benchmark.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="trained models, Rasa's own included")
    benchmark.add_argument("--nlu", type=Path, required=True, metavar="TEST.yml", help="NLU data with intents")
    benchmark.add_argument(
        "--out", type=Path, default=Path("benchmark_results"), help="folder for results.json and .png"
    )
    benchmark.add_argument("--out-of-scope", type=Path, metavar="OOS.yml", help="NLU data that no intent is right for")
    benchmark.add_argument(
        "--http",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="ask each model's server too, for so long (not on Windows)",
    )
    benchmark.add_argument("--threads", type=positive, default=1, help="of each model's libraries (default: 1)")
    benchmark.add_argument("--rounds", type=positive, default=50, help="turns that the models take (default: 50)")
    benchmark.add_argument(
        "--max-messages", type=positive, default=0, metavar="N", help="a random sample of the test data"
    )


def run(arguments: argparse.Namespace) -> None:
    """Trained models side by side.

    Raises:
        CompressedBertError: if a model is refused; and if a server failed, after all else was written.
    """
    from rasa_compressed_bert.artifact.archives import archive_path, require_nlu
    from rasa_compressed_bert.benchmark import report
    from rasa_compressed_bert.benchmark.comparison import compare_models
    from rasa_compressed_bert.benchmark.report import plot_comparison
    from rasa_compressed_bert.benchmark.server import throughput
    from rasa_compressed_bert.components.nlu_files import load_messages
    from rasa_compressed_bert.data.counts import counted
    from rasa_compressed_bert.reporting import tables
    from rasa_compressed_bert.reporting.environment import environment

    if arguments.http and sys.platform == "win32":  # Rasa's workers and their process group are Unix's
        raise CompressedBertError("--http: servers cannot be measured on Windows; leave it out.")
    archives = [archive_path(model) for model in arguments.models]
    for archive in archives:
        require_nlu(archive)
    messages = load_messages(arguments.nlu, arguments.max_messages, entities=True)
    outside = load_messages(arguments.out_of_scope) if arguments.out_of_scope else []
    make_folder(arguments.out)
    results = compare_models(
        labelled(archives),
        messages,
        out_of_scope=[message.text for message in outside],
        threads=arguments.threads,
        rounds=arguments.rounds,
    )
    texts = [message.text for message in messages]
    failed = []
    for archive, result in zip(archives, results if arguments.http else []):
        try:
            result.update(throughput(archive, texts, seconds=arguments.http, threads=arguments.threads))
        except CompressedBertError as error:  # the rest is written all the same
            failed.append(f"The server of {result['model']} failed: {error}")
    content = {"nlu": arguments.nlu.name, "threads": arguments.threads, **environment(), "results": results}
    (arguments.out / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    title = f"{counted(len(messages), 'message', 'messages')} of {arguments.nlu.name}"
    plot_comparison(results, arguments.out / "results.png", title=title)
    write(f"{tables.text_table(report.comparison_rows(results))}\n\n{report.LEGEND}\n")
    write(f"Written: {arguments.out / 'results.json'}, {arguments.out / 'results.png'}\n")
    if failed:
        raise CompressedBertError("\n".join(failed))


def labelled(archives: Sequence[Path]) -> Dict[str, Path]:
    """A short name for each archive: its own, with as many of its folders as it takes to tell all apart."""
    full = [archive.resolve().with_name(archive.name.replace(".tar.gz", "")).parts for archive in archives]
    if len(set(full)) < len(full):
        raise CompressedBertError("The same model is given twice.")
    length = next(size for size in range(1, 1000) if len({parts[-size:] for parts in full}) == len(full))
    return {"/".join(parts[-length:]): archive for parts, archive in zip(full, archives)}
