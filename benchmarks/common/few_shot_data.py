"""Training data with a few messages per intent, and published accuracies for such data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from benchmarks.common.datasets import write_nlu
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError

DEFAULT_SHOTS = (5, 10)
_FEW = re.compile(r"train_(\d+)\.yml")

PUBLISHED: Dict[str, Dict[str, Dict[int, float]]] = {
    "banking77": {
        "RoBERTa + linear layer": {5: 0.740, 10: 0.843},
        "DNNC": {5: 0.804, 10: 0.867},
        "CPFT": {5: 0.809, 10: 0.872},
        "ICDA": {5: 0.840, 10: 0.898},
    },
    "clinc150": {
        "RoBERTa + linear layer": {5: 0.880, 10: 0.916},
        "DNNC": {5: 0.910, 10: 0.938},
        "CPFT": {5: 0.923, 10: 0.942},
        "ICDA": {5: 0.926, 10: 0.948},
    },
    "hwu64": {
        "RoBERTa + linear layer": {5: 0.756, 10: 0.829},
        "DNNC": {5: 0.805, 10: 0.847},
        "CPFT": {5: 0.820, 10: 0.871},
        "ICDA": {5: 0.825, 10: 0.874},
    },
}
"""Accuracies by data set, method and number of messages of each intent.

From github.com/jianguoz/Few-Shot-Intent-Detection, whose `train_5` and `train_10` they were measured with.
DNNC: Zhang et al. 2020. CPFT: Zhang et al. 2021. ICDA: Lin et al. 2023, with training messages that a large language
model wrote.
"""


def published_for(name: str) -> List[Dict[str, Any]]:
    """`model`, `shots` and `accuracy` of each published figure for a data set.

    Args:
        name: name of the data set, which begins with a name of `PUBLISHED`.
    """
    return [
        {"model": model, "shots": shots, "accuracy": accuracy}
        for data, models in PUBLISHED.items()
        if name.lower().startswith(data)
        for model, accuracies in models.items()
        for shots, accuracy in accuracies.items()
    ]


def shots_of(source: Path, wanted: Optional[Sequence[int]]) -> List[int]:
    """The numbers of training messages per intent: the wanted ones, else those of `train_<k>.yml`, else 5 and 10."""
    matches = [_FEW.fullmatch(path.name) for path in source.iterdir()] if source.is_dir() else []
    return sorted(wanted or {int(match[1]) for match in matches if match} or DEFAULT_SHOTS)


def has_own_part(source: Path, shots: int) -> bool:
    """Whether the data set has training messages for this number, which are then the same for every seed."""
    return (source / f"train_{shots}.yml").is_file()


def write_training(source: Path, folder: Path, *, shots: int, seed: int) -> Path:
    """Writes the training messages: those of `train_<shots>.yml`, or a random choice from `train.yml`."""
    if has_own_part(source, shots):
        messages, path = load_messages(source / f"train_{shots}.yml"), folder / f"train_{shots}.yml"
    else:
        messages = few_of_each(load_messages(source / "train.yml"), shots, seed=seed)
        path = folder / f"train_{shots}_{seed}.yml"
    folder.mkdir(parents=True, exist_ok=True)
    write_nlu(messages, path)
    return path


def few_of_each(messages: Sequence[LabelledMessage], count: int, *, seed: int) -> List[LabelledMessage]:
    """A random choice of `count` messages of each intent, or all of an intent that has fewer.

    It contains the choice with a smaller count and the same seed.
    """
    rng = np.random.default_rng(seed)
    intents = np.array([message.intent for message in messages])
    chosen = [rng.permutation(np.flatnonzero(intents == intent))[:count] for intent in np.unique(intents)]
    return [messages[index] for index in sorted(np.concatenate(chosen))]


def find_test(source: Path, given: Optional[Path]) -> Path:
    """The data set's `test.yml`, else the given file, or the `test.yml` of the given folder.

    Raises:
        CompressedBertError: if there is none.
    """
    if (source / "test.yml").is_file():
        return source / "test.yml"
    path = given / "test.yml" if given and given.is_dir() else given
    if path is None or not path.is_file():
        raise CompressedBertError(f"'{source}' has no test.yml: name one with --test.")
    return path
