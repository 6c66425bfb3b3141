"""`sensitivity`: how sensitive the parts of a trained model are to quantization and pruning."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import list_of, make_folder, positive
from rasa_compressed_bert.runtime.opening import as_artifact_error


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    sensitivity = add_command(
        commands,
        "sensitivity",
        run=run,
        help="show how sensitive the parts of a trained model are to quantization and pruning",
        description="Compresses one part of an intent classifier, or of an answer extractor, at a time (a component, a "
        "layer, a component of a layer, the word embeddings) and scores it on NLU data, or on questions. A later call "
        "continues an interrupted one.",
        examples=[
            "sensitivity models/dense.tar.gz --nlu test.yml",
            "sensitivity models/dense.tar.gz --nlu test.yml --bits 8,4 --sparsity 0.6 --max-messages 200",
            "sensitivity models/answers.tar.gz --questions squad/dev.json --max-messages 200",
        ],
    )
    sensitivity.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="a trained model, a folder of models (the newest) or an artifact; preferably not compressed, that is, "
        "trained with `pruning: {method: none}` and `quantization: {method: none}`",
    )
    asked = sensitivity.add_mutually_exclusive_group(required=True)
    asked.add_argument("--nlu", type=Path, metavar="TEST.yml", help="NLU data with intents")
    asked.add_argument(
        "--questions",
        type=Path,
        metavar="TEST.json",
        help="questions in the format of SQuAD 2.0 for BertAnswerExtractor, each on its own passage",
    )
    sensitivity.add_argument(
        "--out",
        type=Path,
        default=Path("sensitivity_results"),
        metavar="FOLDER",
        help="folder for results.json, .md and .png",
    )
    sensitivity.add_argument(
        "--bits", type=list_of(int), default="8,4,3,2,1", metavar="N,N...", help="bits of k-means quantization, 1 to 8"
    )
    sensitivity.add_argument(
        "--sparsity",
        type=list_of(float),
        default="0.2,0.4,0.6,0.8,0.9",
        metavar="P,P...",
        help="shares of the weights to set to zero",
    )
    sensitivity.add_argument(
        "--per-tensor",
        action="store_true",
        help="use k-means with one scale per matrix instead of one per output channel",
    )
    sensitivity.add_argument(
        "--max-messages",
        type=positive,
        metavar="N",
        help="score on a random sample of N messages or questions (default: all)",
    )
    sensitivity.add_argument("--fresh", action="store_true", help="discard the results of an earlier call in --out")


@as_artifact_error()
def run(arguments: argparse.Namespace) -> None:
    """Measures how sensitive the parts of a trained model are to quantization and pruning.

    Raises:
        CompressedBertError: if there is no such model, if its parts do not fit each other, or if the messages cannot
            be read.
    """
    from rasa_compressed_bert.commands.questions import load_questions
    from rasa_compressed_bert.components.nlu_files import load_messages
    from rasa_compressed_bert.inspection.parts import Sweep
    from rasa_compressed_bert.inspection.sensitivity import answer_artifact, intent_artifact, measure_sensitivity
    from rasa_compressed_bert.inspection.sensitivity_report import (
        plot_sensitivity,
        sensitivity_blocks,
        sensitivity_markdown,
    )
    from rasa_compressed_bert.reporting.blocks import Lines
    from rasa_compressed_bert.reporting.environment import environment
    from rasa_compressed_bert.reporting.terminal import show

    sweep = Sweep(arguments.bits, arguments.sparsity, per_channel=not arguments.per_tensor)
    most = arguments.max_messages or 0
    if arguments.questions:
        artifact, given = answer_artifact(arguments.model), {"questions": arguments.questions.name}
        asked: Any = load_questions(arguments.questions, most)
    else:
        artifact, given = intent_artifact(arguments.model), {"nlu": arguments.nlu.name}
        asked = load_messages(arguments.nlu, most)
    paths = [arguments.out / f"results.{ending}" for ending in ("json", "md", "png")]
    make_folder(arguments.out, files=[path.name for path in paths])
    header = {"model": arguments.model.resolve().name, **given}
    header.update(max_messages=most, **environment())
    content = measure_sensitivity(artifact, asked, sweep, path=paths[0], header=header, fresh=arguments.fresh)
    # the names of model and messages may be in another encoding
    paths[1].write_text(sensitivity_markdown(content), encoding="utf-8", errors="replace")
    plot_sensitivity(content, paths[2])
    show([*sensitivity_blocks(content, all_parts=paths[1]), Lines([f"Written: {path}" for path in paths])])
