"""The command line: `rasa-compressed-bert`, or `python -m rasa_compressed_bert`."""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import sys
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence, Tuple

from rasa_compressed_bert import __version__
from rasa_compressed_bert.errors import CompressedBertError

_QUIET = {"RASA_TELEMETRY_ENABLED": "false", "SQLALCHEMY_SILENCE_UBER_WARNING": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
_FAILED = 2
_CALIBRATION_MESSAGES = 300
_INTERRUPTED = 130  # as shells have it


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs a sub-command; returns the exit status: 2 for what this package refuses, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        arguments.run(arguments)
    except CompressedBertError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"\n{' '.join(('Stopped.', *stop.args))}\n")
        return _INTERRUPTED
    except BrokenPipeError:  # `... | head`
        sys.stderr.close()
    return 0


def run_inspect(arguments: argparse.Namespace) -> None:
    """What is inside a trained model."""
    from rasa_compressed_bert.artifact.archives import artifacts_of
    from rasa_compressed_bert.benchmark.inspection import inspect_model
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
    from rasa_compressed_bert.artifact.archives import archive_path, require_nlu
    from rasa_compressed_bert.benchmark import tables
    from rasa_compressed_bert.benchmark.comparison import compare_models
    from rasa_compressed_bert.benchmark.environment import environment
    from rasa_compressed_bert.benchmark.messages import load_messages
    from rasa_compressed_bert.benchmark.plots import plot_comparison

    archives = [archive_path(model) for model in arguments.models]
    for archive in archives:
        require_nlu(archive)
    messages = load_messages(arguments.nlu, arguments.max_messages, entities=True)
    results = compare_models(labelled(archives), messages, threads=arguments.threads, rounds=arguments.rounds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    content = {"nlu": arguments.nlu.name, "threads": arguments.threads, **environment(), "results": results}
    (arguments.out / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    plot_comparison(results, arguments.out / "results.png", title=f"{len(messages)} messages of {arguments.nlu.name}")
    _write(f"{tables.text_table(tables.comparison_rows(results))}\n\n{tables.LEGEND}\n")
    _write(f"Written: {arguments.out / 'results.json'}, {arguments.out / 'results.png'}\n")


def run_sensitivity(arguments: argparse.Namespace) -> None:
    """Which parts of a trained model bear few bits or few weights."""
    from rasa_compressed_bert.benchmark.environment import environment
    from rasa_compressed_bert.benchmark.messages import load_messages
    from rasa_compressed_bert.benchmark.parts import Sweep
    from rasa_compressed_bert.benchmark.plots import plot_sensitivity
    from rasa_compressed_bert.benchmark.report import sensitivity_markdown, sensitivity_text
    from rasa_compressed_bert.benchmark.sensitivity import intent_artifact, measure_sensitivity

    sweep = Sweep(arguments.bits, arguments.sparsity, per_channel=not arguments.per_tensor)
    artifact = intent_artifact(arguments.model)
    messages = load_messages(arguments.nlu, arguments.max_messages)
    header = {"model": arguments.model.resolve().name, "nlu": arguments.nlu.name}
    header.update(max_messages=arguments.max_messages, **environment())
    paths = [arguments.out / f"results.{ending}" for ending in ("json", "md", "png")]
    content = measure_sensitivity(artifact, messages, sweep, path=paths[0], header=header, fresh=arguments.fresh)
    paths[1].write_text(sensitivity_markdown(content), encoding="utf-8")
    plot_sensitivity(content, paths[2])
    _write(sensitivity_text(content))
    _write(f"Written: {', '.join(map(str, paths))}\n")


def run_export(arguments: argparse.Namespace) -> None:
    """A trained model for other programs."""
    from rasa_compressed_bert.artifact.archives import artifacts_of
    from rasa_compressed_bert.benchmark.messages import load_messages
    from rasa_compressed_bert.export.standalone import onnx_files, tflite_files

    if arguments.format == "onnx" and (arguments.quantization or arguments.nlu):
        raise CompressedBertError("--quantization and --nlu are for --format tflite: ONNX has the model's own format.")
    texts = []
    if arguments.nlu:
        texts = [message.text for message in load_messages(arguments.nlu, _CALIBRATION_MESSAGES)]
    found = artifacts_of(arguments.model)
    if not found:
        raise CompressedBertError(f"'{arguments.model}' holds no component of rasa_compressed_bert.")
    for name, artifact in found.items():
        if arguments.format == "onnx":
            files = onnx_files(artifact)
        else:
            files = tflite_files(artifact, quantization=arguments.quantization or "dynamic_int8", texts=texts)
        folder = arguments.out / name if len(found) > 1 else arguments.out
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (folder / file).write_bytes(data)
            _write(f"Written: {folder / file} ({len(data) / 1e6:.2f} MB)\n")


def run_augment(arguments: argparse.Namespace) -> None:
    """What a teacher of one's own is asked."""
    from rasa_compressed_bert.benchmark.messages import load_messages
    from rasa_compressed_bert.config import DistilledIntentClassifierConfig
    from rasa_compressed_bert.tasks.distillation import texts_to_ask

    config = DistilledIntentClassifierConfig.from_dict(
        {"augmentation": {"n_iter": arguments.n_iter, "sentence": arguments.sentence}, "random_seed": arguments.seed}
    )
    texts = list(dict.fromkeys(message.text for message in load_messages(arguments.nlu)))
    asked = texts_to_ask(texts, config)
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["text"], *([text] for text in asked)])
    _write(f"Written: {arguments.out}, {len(texts)} messages and {len(asked) - len(texts)} synthetic ones\n")


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
    _add_sensitivity(commands)
    _add_export(commands)
    return parser


def _add_sensitivity(commands: argparse._SubParsersAction) -> None:
    sensitivity = commands.add_parser(
        "sensitivity",
        help="which parts of a trained model bear few bits or few weights",
        description="Compresses one part of an intent classifier at a time (a component, a layer, a component of a "
        "layer, the word embeddings) and scores it on NLU data. A later call goes on where an interrupted one stopped.",
    )
    sensitivity.set_defaults(run=run_sensitivity)
    sensitivity.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="a trained model, a folder of models (the newest) or an artifact; best one that is not compressed, "
        "trained with `pruning: {method: none}` and `quantization: {method: none}`",
    )
    sensitivity.add_argument("--nlu", type=Path, required=True, metavar="TEST.yml", help="NLU data with intents")
    sensitivity.add_argument(
        "--out", type=Path, default=Path("sensitivity_results"), help="folder for results.json, .md and .png"
    )
    sensitivity.add_argument(
        "--bits", type=_list_of(int), default="8,4,3,2,1", help="of k-means, 1 to 8 (default: %(default)s)"
    )
    sensitivity.add_argument(
        "--sparsity",
        type=_list_of(float),
        default="0.2,0.4,0.6,0.8,0.9",
        help="shares of weights set to zero (default: %(default)s)",
    )
    sensitivity.add_argument(
        "--per-tensor", action="store_true", help="k-means with one scale a matrix, not one an output channel"
    )
    sensitivity.add_argument(
        "--max-messages", type=_positive, default=0, metavar="N", help="a random sample of the test data"
    )
    sensitivity.add_argument("--fresh", action="store_true", help="throw away what an earlier call has left in --out")


def _add_export(commands: argparse._SubParsersAction) -> None:
    augment = commands.add_parser("augment", help="synthetic messages for a teacher of your own to label")
    augment.set_defaults(run=run_augment)
    augment.add_argument("--nlu", type=Path, required=True, help="training data")
    augment.add_argument("--out", type=Path, required=True, help="a CSV file; add a column of probabilities an intent")
    augment.add_argument("--n-iter", type=int, default=20, help="synthetic messages of each training message")
    augment.add_argument("--sentence", type=float, default=0.0, help="probability of one sentence of a longer message")
    augment.add_argument("--seed", type=int, default=42)

    export = commands.add_parser(
        "export",
        help="a trained model for other programs, as ONNX or TFLite",
        description="Writes a model file with its weights, tokenizer.json (of the `tokenizers` library) and "
        "manifest.json (labels in the order of the logits, and the temperature that logits are divided by).",
    )
    export.set_defaults(run=run_export)
    export.add_argument("model", type=Path, metavar="MODEL", help="a trained model, a folder of models or an artifact")
    export.add_argument("--format", choices=("onnx", "tflite"), default="onnx", help="default: %(default)s")
    export.add_argument(
        "--quantization",
        choices=("none", "dynamic_int8", "static_int8"),
        help="of TFLite: floats, 8-bit weights (default), or 8-bit activations too, which needs --nlu",
    )
    export.add_argument("--nlu", type=Path, metavar="NLU.yml", help="messages that static_int8 is calibrated on")
    export.add_argument("--out", type=Path, default=Path("exported"), help="folder (default: %(default)s)")


def _list_of(number: Callable[[str], float]) -> Callable[[str], Tuple[float, ...]]:
    """A reader of numbers with commas between them."""

    def read(text: str) -> Tuple[float, ...]:
        try:
            return tuple(dict.fromkeys(map(number, text.split(","))))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}; numbers are separated by commas, as in 8,4,2") from error

    return read


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
