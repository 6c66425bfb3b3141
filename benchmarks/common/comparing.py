"""Trains models one after the other and measures them in turns, for the scripts that compare rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from tqdm import tqdm

from benchmarks.common.measured import Measured
from benchmarks.common.rows import without_folders
from benchmarks.common.training import file_digest, measuring_code, train_row
from rasa_compressed_bert.benchmark.comparison import compare_models
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.reporting.environment import environment


class Row(NamedTuple):
    """A model of a comparison: its folder, its name in results, its config.yml and its training data."""

    folder: Path
    model: str
    config: Dict[str, Any]
    nlu: Path

    @property
    def archive(self) -> Path:
        """The path of the trained model."""
        return self.folder / "model.tar.gz"


def train_rows(rows: Sequence[Row], *, title: str, reuse: bool = False) -> List[Dict[str, Any]]:
    """Trains each row that is not trained yet; returns an entry for the results for each training.

    Args:
        rows: the rows to train.
        title: the title of the progress bar.
        reuse: whether to reuse models of other code or libraries as well.

    Raises:
        CompressedBertError: if a training fails.
    """
    trainings = []
    with tqdm(rows, desc=f"{title}: training", unit=" models", dynamic_ncols=True) as bar:
        for row in bar:
            bar.set_postfix_str(row.model)
            trained = train_row(row.folder, row.config, row.nlu, reuse=reuse)
            trainings.append(
                {
                    "made_by_other_code": trained["made_by_other_code"],
                    "training_s": trained["training_s"],
                    "training_command": trained["command"],
                    "pipeline": without_folders(trained["config"]["pipeline"]),
                }
            )
    return trainings


def compare_rows(
    rows: Sequence[Row],
    test: Path,
    *,
    messages: Sequence[LabelledMessage],
    outside: Sequence[str],
    work: Path,
    pause: float = 0.0,
) -> Tuple[Measured, List[Dict[str, Any]]]:
    """Measures trained rows on the same messages in one run, on one thread each.

    Args:
        rows: trained rows with different names.
        test: the file with the test messages.
        messages: the test messages.
        outside: messages that are out of scope.
        work: folder of earlier measurements.
        pause: seconds before each of 50 messages that are timed again; 0 for none.

    Returns:
        The stored measurements of these models, to which others can be added, and a result of `compare_models` for each
        row.
    """
    archives = {row.model: row.archive for row in rows}
    texts = [[message.text for message in messages], list(outside)]
    digests = [file_digest(path) for path in (*archives.values(), test)]
    measured = Measured(work, [digests, texts, pause, environment(), measuring_code()])
    compare = partial(compare_models, archives, messages, out_of_scope=outside, threads=1, pause=pause)
    results = measured.once("side by side", compare)
    return measured, results
