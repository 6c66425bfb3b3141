"""The interface between a search and its data: splits, training, and measuring."""

from __future__ import annotations

from typing import Any, Protocol, Sequence, Tuple

from rasa_compressed_bert.artifact.artifact import WEIGHTS, Artifact
from rasa_compressed_bert.artifact.dequantization import FORMAT
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.config import BertOptions, TrainedConfig
from rasa_compressed_bert.search.goals import Measured

TIMED = 60
"""Number of messages or questions with which a model is timed."""


class SearchTask(Protocol):
    """Data of a search, messages or questions, with functions to train models on them and to measure models."""

    def split(self, split: int) -> Tuple[Sequence[Any], Sequence[Any]]:
        """The training data and the held-out data of a split; 0 is the search's own split."""

    def train(self, config: TrainedConfig, training: Sequence[Any], held_out: Sequence[Any]) -> Artifact:
        """Trains a model as `rasa train` does, without using held-out data."""

    def fine_tune(self, config: BertOptions, training: Sequence[Any], held_out: Sequence[Any]) -> Any:
        """Trains the dense model for `compress`, which is the teacher of the compressed models."""

    def compress(self, dense: Any, config: BertOptions) -> Artifact:
        """Compresses a copy of a dense model."""

    def measured(self, artifact: Artifact, held_out: Sequence[Any]) -> Measured:
        """Scores and costs of a served model."""


def parameters_of(artifact: Artifact) -> int:
    """The number of stored parameters, as `inspect` counts them: quantized ones without the scales of their format.

    It is 0 for spaCy's own models, whose parameters are not counted.
    """
    if WEIGHTS not in artifact.files:
        return 0
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    return sum(int(value.size) for name, value in tensors.items() if not name.endswith(FORMAT))
