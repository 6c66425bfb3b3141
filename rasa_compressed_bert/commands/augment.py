"""`augment`: messages for an external teacher to label."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import make_folder_of, natural, write
from rasa_compressed_bert.errors import CompressedBertError

_TEXT = "text"  # the column of messages


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    augment = add_command(
        commands,
        "augment",
        run=run,
        help="write synthetic messages for a teacher of your own to label",
        description="Writes the training messages and synthetic ones generated from them to a CSV file. Add a column "
        "for each intent with your teacher's probabilities, and name the file in the config.yml: "
        "`teacher: {predictions: texts.csv}`, with `model_weights` beside it if you use --weights.",
        examples=[
            "augment --nlu data/nlu.yml --out texts.csv",
            "augment --nlu data/nlu.yml --out texts.csv --n-iter 50 --sentence 0.1",
            "augment --nlu data/nlu.yml --out texts.csv --weights multilingual-e5-small",
        ],
    )
    augment.add_argument("--nlu", type=Path, required=True, metavar="NLU.yml", help="training data")
    augment.add_argument("--out", type=Path, required=True, metavar="TEXTS.csv", help="file to write")
    augment.add_argument(
        "--n-iter",
        type=natural,
        default=20,
        metavar="N",
        help="synthetic messages generated from each training message",
    )
    augment.add_argument(
        "--sentence",
        type=float,
        default=0.0,
        metavar="P",
        help="probability that a synthetic message is made from one sentence of a longer training message",
    )
    augment.add_argument(
        "--weights",
        metavar="NAME",
        help="pretrained weights, as an alias, a folder or a name on Hugging Face, whose mask replaces words and whose "
        "embeddings tell which words are similar (default: all-MiniLM-L6-v2, for English); the student has to use the "
        "same ones",
    )
    augment.add_argument("--seed", type=natural, default=42, metavar="N", help="random seed")


def run(arguments: argparse.Namespace) -> None:
    """Writes messages for an external teacher to label."""
    from rasa_compressed_bert.components.nlu_files import load_messages
    from rasa_compressed_bert.config import DistilledIntentClassifierConfig
    from rasa_compressed_bert.data.counts import counted
    from rasa_compressed_bert.tasks.distillation import texts_to_ask

    config = DistilledIntentClassifierConfig.from_dict(
        {
            "augmentation": {"n_iter": arguments.n_iter, "sentence": arguments.sentence},
            "teacher": {"model_weights": arguments.weights},
            "random_seed": arguments.seed,
        }
    )
    make_folder_of(arguments.out, inputs=[arguments.nlu])
    _require_messages_alone(arguments.out)
    texts = list(dict.fromkeys(message.text for message in load_messages(arguments.nlu)))
    asked = texts_to_ask(texts, config)
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([[_TEXT], *([text] for text in asked)])
    messages, made = counted(len(texts), "message", "messages"), len(asked) - len(texts)
    write(f"Written: {arguments.out}, {messages} and {counted(made, 'synthetic message', 'synthetic messages')}\n")


def _require_messages_alone(path: Path) -> None:
    """Refuses to replace a file with more than an earlier call has written: a teacher may have taken days.

    Raises:
        CompressedBertError: if the file has other columns than the messages.
    """
    if not path.is_file():
        return
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            columns = next(csv.reader(file), [])
    except csv.Error:
        columns = [""]
    if columns not in ([], [_TEXT]):
        raise CompressedBertError(
            f"--out: '{path}' has more than a column of messages, such as the predictions of a teacher, which would be "
            "lost. Name another file, or remove it."
        )
