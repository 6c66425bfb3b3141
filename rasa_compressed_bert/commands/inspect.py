"""`inspect`: what is inside a trained model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rasa_compressed_bert.commands.options import write


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    inspect = commands.add_parser("inspect", help="what compression did to a trained model")
    inspect.set_defaults(run=run)
    inspect.add_argument("model", type=Path, help="a trained model, a folder of models (the newest) or an artifact")
    inspect.add_argument("--latency", action="store_true", help="also measure one short message before and after")
    inspect.add_argument("--json", action="store_true", help="all figures as JSON")


def run(arguments: argparse.Namespace) -> None:
    """What is inside a trained model."""
    from rasa_compressed_bert.artifact.archives import artifacts_of
    from rasa_compressed_bert.inspection.description import inspect_model
    from rasa_compressed_bert.inspection.report import inspection_text

    report = inspect_model(arguments.model)
    if arguments.latency:
        from rasa_compressed_bert.benchmark.latency import before_and_after

        for name, artifact in artifacts_of(arguments.model).items():
            if "layers" in report["components"][name]:
                report["components"][name]["latency"] = before_and_after(artifact)
    write(json.dumps(report, indent=1) + "\n" if arguments.json else inspection_text(report))
