"""`inspect`: the contents of a trained model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import write
from rasa_compressed_bert.runtime.opening import as_artifact_error


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    inspect = add_command(
        commands,
        "inspect",
        run=run,
        help="show what compression did to a trained model",
        description="Shows what is inside a trained model: size, parameters and widths of the layers before and after "
        "compression, scores, and how messages out of scope are detected.",
        examples=["inspect models", "inspect models/nlu.tar.gz --latency", "inspect models --json > model.json"],
    )
    inspect.add_argument(
        "model", type=Path, metavar="MODEL", help="a trained model, a folder of models (the newest) or an artifact"
    )
    inspect.add_argument(
        "--latency", action="store_true", help="also time a short message, before and after compression"
    )
    inspect.add_argument("--json", action="store_true", help="write all figures as JSON instead")


@as_artifact_error()
def run(arguments: argparse.Namespace) -> None:
    """Shows the contents of a trained model.

    Raises:
        CompressedBertError: if there is no model, or if its parts do not fit each other.
    """
    from rasa_compressed_bert.artifact.archives import artifacts_of
    from rasa_compressed_bert.inspection.description import inspect_model
    from rasa_compressed_bert.inspection.report import inspection_blocks
    from rasa_compressed_bert.reporting.terminal import show

    report = inspect_model(arguments.model)
    if arguments.latency:
        from rasa_compressed_bert.benchmark.latency import before_and_after

        for name, artifact in artifacts_of(arguments.model).items():
            if "layers" in report["components"][name]:
                report["components"][name]["latency"] = before_and_after(artifact)
    if arguments.json:
        write(json.dumps(report, indent=1) + "\n")
    else:
        show(inspection_blocks(report))
