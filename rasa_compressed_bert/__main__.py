"""The command line: `rasa-compressed-bert`, or `python -m rasa_compressed_bert`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Dict, Optional, Sequence

from rasa_compressed_bert import __version__
from rasa_compressed_bert.errors import CompressedBertError

_FAILED = 2


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs a sub-command; returns the exit status, 2 for what this package refuses."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s")
    for name, value in (("RASA_TELEMETRY_ENABLED", "false"), ("SQLALCHEMY_SILENCE_UBER_WARNING", "1")):
        os.environ.setdefault(name, value)
    try:
        arguments.run(arguments)
    except CompressedBertError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    except BrokenPipeError:  # `... | head`
        sys.stderr.close()
    return 0


def run_inspect(arguments: argparse.Namespace) -> None:
    """What is inside a trained model."""
    from rasa_compressed_bert.benchmark.inspection import artifacts_of, inspect_model
    from rasa_compressed_bert.benchmark.report import inspection_text

    report = inspect_model(arguments.model)
    if arguments.latency:
        from rasa_compressed_bert.benchmark.latency import before_and_after

        for name, artifact in artifacts_of(arguments.model).items():
            if "layers" in report["components"][name]:
                report["components"][name]["latency"] = before_and_after(artifact)
    _write(json.dumps(report, indent=1) + "\n" if arguments.json else inspection_text(report))


def run_benchmark(arguments: argparse.Namespace) -> None:
    """Trained models side by side."""
    from rasa_compressed_bert.benchmark import tables
    from rasa_compressed_bert.benchmark.archives import archive_path, require_nlu
    from rasa_compressed_bert.benchmark.comparison import compare_models
    from rasa_compressed_bert.benchmark.environment import environment
    from rasa_compressed_bert.benchmark.messages import load_messages
    from rasa_compressed_bert.benchmark.plots import plot_comparison

    archives = [archive_path(model) for model in arguments.models]
    for archive in archives:
        require_nlu(archive)
    messages = load_messages(arguments.nlu, arguments.max_messages)
    results = compare_models(labelled(archives), messages, threads=arguments.threads, rounds=arguments.rounds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    content = {"nlu": arguments.nlu.name, "threads": arguments.threads, **environment(), "results": results}
    (arguments.out / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    plot_comparison(results, arguments.out / "results.png", title=f"{len(messages)} messages of {arguments.nlu.name}")
    _write(f"{tables.text_table(tables.comparison_rows(results))}\n\n{tables.LEGEND}\n")
    _write(f"Written: {arguments.out / 'results.json'}, {arguments.out / 'results.png'}\n")


def labelled(archives: Sequence[Path]) -> Dict[str, Path]:
    """A short name for each archive: its own, with as many of its folders as it takes to tell all apart."""
    full = [archive.resolve().with_name(archive.name.replace(".tar.gz", "")).parts for archive in archives]
    if len(set(full)) < len(full):
        raise CompressedBertError("The same model is given twice.")
    length = next(size for size in range(1, 1000) if len({parts[-size:] for parts in full}) == len(full))
    return {"/".join(parts[-length:]): archive for parts, archive in zip(full, archives)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rasa-compressed-bert", description="Look into and compare trained models.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--verbose", action="store_true", help="say more on standard error")
    commands = parser.add_subparsers(title="sub-commands", dest="command", metavar="COMMAND")
    commands.required = True

    inspect = commands.add_parser("inspect", help="what compression did to a trained model")
    inspect.set_defaults(run=run_inspect)
    inspect.add_argument("model", type=Path, help="a trained model, a folder of models (the newest) or an artifact")
    inspect.add_argument("--latency", action="store_true", help="also measure one short message before and after")
    inspect.add_argument("--json", action="store_true", help="all figures as JSON")

    benchmark = commands.add_parser("benchmark", help="trained models side by side on the same messages")
    benchmark.set_defaults(run=run_benchmark)
    benchmark.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="trained models, Rasa's own included")
    benchmark.add_argument("--nlu", type=Path, required=True, metavar="TEST.yml", help="NLU data with intents")
    benchmark.add_argument(
        "--out", type=Path, default=Path("benchmark_results"), help="folder for results.json and .png"
    )
    benchmark.add_argument("--threads", type=_positive, default=1, help="of each model's libraries (default: 1)")
    benchmark.add_argument("--rounds", type=_positive, default=5, help="turns that the models take (default: 5)")
    benchmark.add_argument(
        "--max-messages", type=_positive, default=0, metavar="N", help="a random sample of the test data"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
