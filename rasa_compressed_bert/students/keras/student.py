"""Base of students over the wordpieces of the teacher: a Keras layer, and the same computation as an ONNX graph."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Mapping

import numpy as np

from rasa_compressed_bert.config import Student, StudentConfig, option


@dataclass(frozen=True)
class KerasStudentConfig(StudentConfig):
    """Options of all students over wordpieces; a subclass may change defaults, but not types and ranges."""

    selects_responses: ClassVar[bool] = True

    vocabulary_size: int = option(
        32_000,
        int,
        low=1,
        help="Number of wordpieces, first those of the training data. The default is more than most weights have, as "
        "words that do not occur in training matter too.",
    )
    embedding_size: int = option(64, int, low=1, high=4096, help="Width of the embeddings.")


class KerasStudent(Student):
    """A student with embeddings of wordpieces (`embeddings.word`), initialised from the teacher's hidden states."""

    search_space = {
        "student.vocabulary_size": [8000, 16000, 32000],
        "student.embedding_size": {"low": 32, "high": 128, "step": 16},
    }

    @abstractmethod
    def parameters(self, table: np.ndarray, options: Any, *, num_classes: int, seed: int) -> Dict[str, np.ndarray]:
        """New parameters by name: matrices end in `.kernel`, and lookup tables begin with `embeddings.`.

        Every array with two axes is quantized, so the graph reads it with `Graph.dense` or `Graph.rows`.

        Args:
            table: embeddings of the wordpieces, `(V, E)`.
            options: options of the student.
            num_classes: number of intents, `C`.
            seed: random seed.
        """

    @abstractmethod
    def layer(self, parameters: Mapping[str, np.ndarray], options: Any, *, wordpieces: np.ndarray, dropout: Any) -> Any:
        """The forward pass, a `StudentLayer`.

        Args:
            parameters: parameters by name; embeddings only of the wordpieces that occur in training.
            options: options of the student.
            wordpieces: the tokenizer's id of each row of the embeddings, `(V,)`.
            dropout: dropout in training.
        """

    @abstractmethod
    def graph(self, options: Any, tensors: Any) -> Any:
        """The computation of `layer` as an `OnnxModel`: ids and mask (B, T) int64 to the logits and features."""

    def train(self, data: Any, teacher: Any, config: Any, *, origin: Any, cache: Any) -> Any:
        """See `students.keras.training.train`."""
        from rasa_compressed_bert.students.keras.training import train

        return train(self, data, teacher, config=config, origin=origin, cache=cache)
