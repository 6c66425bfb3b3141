"""`augment`: what a teacher of one's own is asked."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from rasa_compressed_bert.commands.options import make_folder_of, write


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    augment = commands.add_parser("augment", help="synthetic messages for a teacher of your own to label")
    augment.set_defaults(run=run)
    augment.add_argument("--nlu", type=Path, required=True, help="training data")
    augment.add_argument("--out", type=Path, required=True, help="a CSV file; add a column of probabilities an intent")
    augment.add_argument("--n-iter", type=int, default=20, help="synthetic messages of each training message")
    augment.add_argument("--sentence", type=float, default=0.0, help="probability of one sentence of a longer message")
    augment.add_argument("--seed", type=int, default=42)


def run(arguments: argparse.Namespace) -> None:
    """What a teacher of one's own is asked."""
    from rasa_compressed_bert.components.nlu_files import load_messages
    from rasa_compressed_bert.config import DistilledIntentClassifierConfig
    from rasa_compressed_bert.data.counts import counted
    from rasa_compressed_bert.tasks.distillation import texts_to_ask

    config = DistilledIntentClassifierConfig.from_dict(
        {"augmentation": {"n_iter": arguments.n_iter, "sentence": arguments.sentence}, "random_seed": arguments.seed}
    )
    make_folder_of(arguments.out)
    texts = list(dict.fromkeys(message.text for message in load_messages(arguments.nlu)))
    asked = texts_to_ask(texts, config)
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["text"], *([text] for text in asked)])
    messages, made = counted(len(texts), "message", "messages"), len(asked) - len(texts)
    write(f"Written: {arguments.out}, {messages} and {counted(made, 'synthetic one', 'synthetic ones')}\n")
