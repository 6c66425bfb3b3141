"""`report`: one HTML page about a trained model, for the person who decides about it."""

from __future__ import annotations

import argparse
from pathlib import Path

from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import make_folder_of
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.runtime.opening import as_artifact_error


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    report = add_command(
        commands,
        "report",
        run=run,
        help="write one HTML page about a trained model",
        description="Writes one HTML page about a trained model, which needs no network and can be printed: what it "
        "is, score, size and latency before and after compression, weakest and confused intents with messages, "
        "entities, responses, how far confidences can be trusted, messages out of scope, layers, and what to do next.",
        examples=[
            "report models --nlu test.yml",
            "report models/nlu.tar.gz --nlu test.yml --out-of-scope oos.yml --out results/report.html",
        ],
    )
    report.add_argument(
        "model", type=Path, metavar="MODEL", help="a trained model, a folder of models (the newest) or an artifact"
    )
    report.add_argument("--nlu", type=Path, required=True, metavar="TEST.yml", help="NLU data with intents")
    report.add_argument(
        "--out-of-scope", type=Path, metavar="OOS.yml", help="NLU data of messages that belong to no intent"
    )
    report.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="file to write")


@as_artifact_error()
def run(arguments: argparse.Namespace) -> None:
    """Writes a page about a trained model.

    Raises:
        CompressedBertError: if the model has no component of this package, if its parts do not fit each other, or if
            the messages cannot be read.
    """
    from rasa_compressed_bert.artifact.archives import artifacts_of
    from rasa_compressed_bert.artifact.artifact import ANSWER_EXTRACTOR
    from rasa_compressed_bert.benchmark.latency import before_and_after
    from rasa_compressed_bert.components.nlu_files import load_messages
    from rasa_compressed_bert.inspection.description import inspect_model
    from rasa_compressed_bert.inspection.evaluation import evaluate
    from rasa_compressed_bert.inspection.page import report_page
    from rasa_compressed_bert.reporting.blocks import Lines
    from rasa_compressed_bert.reporting.environment import environment
    from rasa_compressed_bert.reporting.terminal import show

    artifacts = artifacts_of(arguments.model)
    if not artifacts:
        raise CompressedBertError(
            f"'{arguments.model}' has no component of rasa_compressed_bert to report on. "
            "`rasa-compressed-bert benchmark` measures any Rasa model."
        )
    messages = load_messages(arguments.nlu, entities=True)
    outside = load_messages(arguments.out_of_scope) if arguments.out_of_scope else []
    read = [arguments.model, arguments.nlu, *([arguments.out_of_scope] if arguments.out_of_scope else [])]
    make_folder_of(arguments.out, inputs=read)
    description = inspect_model(arguments.model)
    evaluation = evaluate(artifacts, messages, [message.text for message in outside])
    for name, component in description["components"].items():
        if "layers" in component and component["kind"] != ANSWER_EXTRACTOR:
            component["latency"] = before_and_after(artifacts[name])
    page = report_page(
        description,
        evaluation,
        nlu=arguments.nlu.name,
        out_of_scope=arguments.out_of_scope.name if arguments.out_of_scope else "",
        environment=environment(),
    )
    arguments.out.write_text(page, encoding="utf-8", errors="replace")  # names of files may be in another encoding
    show([Lines([f"Written: {arguments.out}"])])
