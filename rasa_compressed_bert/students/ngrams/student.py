"""The smallest student, a sum over n-grams of wordpieces: options, search space, parameters, layer and graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Mapping

import numpy as np

from rasa_compressed_bert.config import option
from rasa_compressed_bert.students.keras.parameters import head_parameters
from rasa_compressed_bert.students.keras.student import KerasStudent, KerasStudentConfig

_DENSE = 256  # units of the ReLU layer


@dataclass(frozen=True)
class NGramsConfig(KerasStudentConfig):
    """Options of the student ngrams."""

    learning_rate: ClassVar[float] = 5e-3

    buckets: int = option(20_000, int, low=1, help="Number of rows of the table that pairs of wordpieces share.")


class NGramsStudent(KerasStudent):
    """A sum over the embeddings of wordpieces and of pairs of them, a ReLU layer and a linear layer."""

    options = NGramsConfig
    search_space = {**KerasStudent.search_space, "student.buckets": [5000, 10000, 20000, 40000]}

    def parameters(self, table: np.ndarray, options: Any, *, num_classes: int, seed: int) -> Dict[str, np.ndarray]:
        return {
            "embeddings.word": table.astype(np.float32),
            "embeddings.pair": np.zeros((options.buckets, table.shape[1]), np.float32),
            **head_parameters(np.random.default_rng(seed), table.shape[1], _DENSE, num_classes),
        }

    def layer(self, parameters: Mapping[str, np.ndarray], options: Any, *, wordpieces: np.ndarray, dropout: Any) -> Any:
        from rasa_compressed_bert.students.ngrams.layer import NGrams

        return NGrams(parameters, wordpieces=wordpieces, dropout=dropout)

    def graph(self, options: Any, tensors: Any) -> Any:
        from rasa_compressed_bert.students.ngrams.graph import ngrams_model

        return ngrams_model(tensors)


STUDENT = NGramsStudent()
