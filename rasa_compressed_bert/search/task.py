"""What options are tried on: data in splits, how a model is trained on them, and how it is measured."""

from __future__ import annotations

from typing import Any, Protocol, Sequence, Tuple

from rasa_compressed_bert.artifact.artifact import WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.config import BertOptions, TrainedConfig
from rasa_compressed_bert.search.goals import Measured

TIMED = 60
"""Messages, or questions, that a model is timed with."""


class SearchTask(Protocol):
    """What a search needs to know of messages, or of questions."""

    def split(self, split: int) -> Tuple[Sequence[Any], Sequence[Any]]:
        """What is learnt, and what is held out to measure on; 0 is the search's own split."""

    def train(self, config: TrainedConfig, training: Sequence[Any], held_out: Sequence[Any]) -> Artifact:
        """A model as `rasa train` makes it; nothing of what is held out is learnt."""

    def fine_tune(self, config: BertOptions, training: Sequence[Any], held_out: Sequence[Any]) -> Any:
        """The dense model that `compress` takes, which is the teacher of the compressed ones."""

    def compress(self, dense: Any, config: BertOptions) -> Artifact:
        """A compressed copy of a dense model."""

    def measured(self, artifact: Artifact, held_out: Sequence[Any]) -> Measured:
        """Scores and costs of a trained model, as it is served."""


def parameters_of(artifact: Artifact) -> int:
    """Values that are stored; of spaCy's own models, which are not taken apart, none."""
    if WEIGHTS not in artifact.files:
        return 0
    return sum(int(value.size) for value in tensors_from_bytes(artifact.files[WEIGHTS]).values())
