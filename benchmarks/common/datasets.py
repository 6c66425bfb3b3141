"""Training and test files of a run: the same messages for every row."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.data.example import Example, LabelledMessage, normal_form


def stratified_sample(messages: Sequence[LabelledMessage], size: int, *, seed: int = 42) -> List[LabelledMessage]:
    """`size` messages, stratified by intent, with at least one of every intent; all messages for a size of 0."""
    if not size or size >= len(messages):
        return list(messages)
    rng = np.random.default_rng(seed)
    intents = np.array([message.intent for message in messages])
    ranks = np.empty(len(messages))  # a message's rank within its intent, 0 to 1; the lowest are taken
    for intent in np.unique(intents):
        members = np.flatnonzero(intents == intent)
        ranks[rng.permutation(members)] = (np.arange(len(members)) + rng.random()) / len(members)
        ranks[members[np.argmin(ranks[members])]] = -1.0
    return [messages[index] for index in np.sort(np.argsort(ranks, kind="stable")[:size])]


def split(messages: Sequence[LabelledMessage], share: float) -> Tuple[List[LabelledMessage], List[LabelledMessage]]:
    """Training and test messages; a stratified `share` of all is the test set.

    Messages that differ from a test message only in case and white space are not in the training set.
    """
    test = stratified_sample(messages, round(share * len(messages)))
    asked = {normal_form(message.text) for message in test}
    return [message for message in messages if normal_form(message.text) not in asked], test


def prepare(source: Path, folder: Path, *, sample: int, entities: bool = False) -> Tuple[Path, Path]:
    """Writes `train.yml` and `test.yml` of a data set to `folder`.

    Args:
        source: a folder with train.yml and test.yml, or one file, a fifth of which becomes the test data.
        folder: the folder to write to.
        sample: size of a stratified sample of the training messages; 0 for all.
        entities: whether to keep entities; by default not, so that every row, DIET included, learns only intents.
    """
    if source.is_file():
        training, test = split(load_messages(source, entities=entities), 0.2)
    else:
        training, test = (load_messages(source / name, entities=entities) for name in ("train.yml", "test.yml"))
    folder.mkdir(parents=True, exist_ok=True)
    write_nlu(stratified_sample(training, sample), folder / "train.yml")
    write_nlu(test, folder / "test.yml")
    write_nlu(floor_messages(training), folder / "keyword.yml")
    return folder / "train.yml", folder / "test.yml"


def prepare_examples(source: Path, folder: Path, *, sample: int) -> Tuple[List[Example], List[Example]]:
    """The training and test messages that `prepare` writes, as examples without entities."""
    paths = prepare(source, folder, sample=sample)
    training, test = ([Example(item.text, item.intent) for item in load_messages(path)] for path in paths)
    return training, test


def floor_messages(messages: Sequence[LabelledMessage]) -> List[LabelledMessage]:
    """Training data of the row `keyword`: one keyword for each of two intents.

    KeywordIntentClassifier turns every training message into a regular expression; with real messages it fails on
    ambiguous data and becomes slower with each. The row only shows the time that Rasa itself takes.
    """
    intents = sorted({message.intent for message in messages})[:2]
    return [LabelledMessage(f"keyword{index}", intent) for index, intent in enumerate(intents)]


def write_nlu(messages: Sequence[LabelledMessage], path: Path) -> None:
    """Writes Rasa's YAML, with characters replaced that Rasa would read as the annotation of an entity."""
    from rasa.shared.nlu.training_data.formats.rasa_yaml import RasaYAMLWriter
    from rasa.shared.nlu.training_data.message import Message
    from rasa.shared.nlu.training_data.training_data import TrainingData

    examples = [
        Message.build(message.text, message.intent, [span._asdict() for span in message.entities])
        for message in messages
    ]
    RasaYAMLWriter().dump(str(path), TrainingData(examples))
