"""The student of Tang et al. 2019 (arXiv 1903.12136), a bidirectional LSTM: options, search space, layer and graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Mapping

import numpy as np

from rasa_compressed_bert.config import option
from rasa_compressed_bert.students.bilstm.parameters import bilstm_parameters
from rasa_compressed_bert.students.keras.student import KerasStudent, KerasStudentConfig


@dataclass(frozen=True)
class BiLstmConfig(KerasStudentConfig):
    """Options of the student bilstm."""

    learning_rate: ClassVar[float] = 2e-3

    embedding_size: int = option(96, int, low=1, high=4096, help="Width of the embeddings.")
    hidden_size: int = option(128, int, low=1, high=4096, help="Units of each direction.")
    dense_size: int = option(256, int, low=1, high=4096, help="Units of the ReLU layer.")
    pooling: str = option(
        "max",
        str,
        choices=("max", "last"),
        help="What is classified: the maximum of each unit over the message (max), or the last state of each direction "
        "(last, as in Tang et al. 2019).",
    )


class BiLstmStudent(KerasStudent):
    """Embeddings, a bidirectional LSTM, a ReLU layer and a linear layer."""

    options = BiLstmConfig
    search_space = {
        **KerasStudent.search_space,
        "student.hidden_size": {"low": 32, "high": 192, "step": 32},
        "student.dense_size": {"low": 64, "high": 320, "step": 64},
    }

    def parameters(self, table: np.ndarray, options: Any, *, num_classes: int, seed: int) -> Dict[str, np.ndarray]:
        return bilstm_parameters(
            table,
            hidden_size=options.hidden_size,
            dense_size=options.dense_size,
            num_classes=num_classes,
            seed=seed,
        )

    def layer(self, parameters: Mapping[str, np.ndarray], options: Any, *, wordpieces: np.ndarray, dropout: Any) -> Any:
        from rasa_compressed_bert.students.bilstm.layer import BiLstm

        return BiLstm(parameters, pooling=options.pooling, dropout=dropout)

    def graph(self, options: Any, tensors: Any) -> Any:
        from rasa_compressed_bert.students.bilstm.graph import bilstm_model

        return bilstm_model(tensors, pooling=options.pooling)


STUDENT = BiLstmStudent()
