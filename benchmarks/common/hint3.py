"""Training data and test messages of a bot, some of which are out of scope, and published figures.

The files are those of HINT3 (Arora et al. 2020, arXiv 2009.13833, github.com/hellohaptik/HINT3):

- `train.yml`: Rasa NLU data.
- `test_all.csv`: columns `sentence` and `label`, where a message out of scope has the label `NO_NODES_DETECTED`.
  Repeated messages are kept, because the published figures count them. Without this file, the test messages are those
  of `test.yml` and, out of scope, those of `oos_test.yml`.
- `PUBLISHED.csv` (optional): columns `platform`, `train`, `threshold`, and one for each of `FIGURES`.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence

from benchmarks.common.datasets import stratified_sample
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import DataError

OUT_OF_SCOPE = "NO_NODES_DETECTED"
FIGURES = ("accuracy", "inscope_accuracy", "oos_recall", "mcc")
_TEST, _PUBLISHED = "test_all.csv", "PUBLISHED.csv"
_FULL = "full"  # training set of a published figure; the others were trained on a subset of it
PLATFORMS = {
    "dialogflow": "Dialogflow",
    "luis": "LUIS",
    "haptik": "Haptik",
    "rasa": "Rasa (2020, ConveRT + DIET)",
    "bert": "BERT",
}


class Bot(NamedTuple):
    """Messages of one bot.

    Attributes:
        training: labelled messages.
        test: messages of its users; those out of scope have the intent `OUT_OF_SCOPE`.
        published: for each platform its name and, under `thresholds`, a threshold with its `FIGURES`.
    """

    training: List[LabelledMessage]
    test: List[LabelledMessage]
    published: List[Dict[str, Any]]


def read_bot(folder: Path, max_messages: int = 0) -> Bot:
    """Reads a data set.

    Args:
        folder: the folder of the files.
        max_messages: size of a stratified sample of the test messages, then without published figures; 0 for all.

    Raises:
        CompressedBertError: if a file is missing.
        DataError: if a file cannot be read, or if the test messages are not both in scope and out of scope.
    """
    everything = _from_csv(folder / _TEST) if (folder / _TEST).is_file() else _from_rasa(folder)
    kinds = {message.intent == OUT_OF_SCOPE for message in everything}
    if len(kinds) < 2:
        raise DataError(f"The test messages in '{folder}' must be both in scope and out of scope.")
    test = stratified_sample(everything, max_messages)
    is_comparable = len(test) == len(everything) and (folder / _PUBLISHED).is_file()
    published = _read_published(folder / _PUBLISHED) if is_comparable else []
    return Bot(load_messages(folder / "train.yml"), test, published)


def _from_rasa(folder: Path) -> List[LabelledMessage]:
    outside = load_messages(folder / "oos_test.yml")
    return [*load_messages(folder / "test.yml"), *(message._replace(intent=OUT_OF_SCOPE) for message in outside)]


def _from_csv(path: Path) -> List[LabelledMessage]:
    return [LabelledMessage(row["sentence"], row["label"]) for row in _rows(path, ("sentence", "label"))]


def _read_published(path: Path) -> List[Dict[str, Any]]:
    platforms: Dict[str, List[Dict[str, float]]] = {}
    for row in _rows(path, ("platform", "train", "threshold", *FIGURES)):
        if row["train"] == _FULL:
            try:
                figures = {name: float(row[name]) for name in ("threshold", *FIGURES)}
            except (TypeError, ValueError) as error:
                raise DataError(f"'{path}' has a figure that is not a number: {error}") from error
            platforms.setdefault(row["platform"], []).append(figures)
    known = [name for name in PLATFORMS if name in platforms]
    names = [*known, *(name for name in platforms if name not in PLATFORMS)]
    return [{"platform": name, "thresholds": platforms[name]} for name in names]


def _rows(path: Path, columns: Sequence[str]) -> Iterator[Dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"'{path}' has no column {' and no column '.join(missing)}.")
        yield from reader
