"""The student of Tang et al. 2019 (arXiv 1903.12136), a bidirectional LSTM: its options, search space and parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Mapping

import numpy as np

from rasa_compressed_bert.config import option
from rasa_compressed_bert.students.keras.student import KerasStudent, KerasStudentConfig, glorot, head_parameters

DIRECTIONS = ("forward", "backward")
GATES = 4  # input, output, forget, cell: in ONNX's order
_FORGET_BIAS = 1.0


@dataclass(frozen=True)
class BiLstmConfig(KerasStudentConfig):
    """Options of a bilstm."""

    learning_rate: ClassVar[float] = 2e-3

    embedding_size: int = option(96, int, low=1, high=4096, help="Width of the embeddings.")
    hidden_size: int = option(128, int, low=1, high=4096, help="Units of each direction.")
    dense_size: int = option(256, int, low=1, high=4096, help="Units of the ReLU layer.")
    pooling: str = option(
        "max",
        str,
        choices=("max", "last"),
        help="What is classified: the largest value of each unit (max), or the last state of each direction (last, as "
        "in Tang et al. 2019).",
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
        rng = np.random.default_rng(seed)
        size = options.hidden_size
        bias = np.zeros(GATES * size, np.float32)
        bias[2 * size : 3 * size] = _FORGET_BIAS
        parameters: Dict[str, np.ndarray] = {"embeddings.word": table.astype(np.float32)}
        for direction in DIRECTIONS:
            parameters[f"{direction}.input.kernel"] = glorot(rng, table.shape[1], GATES * size)
            orthogonal = [np.linalg.qr(rng.normal(size=(size, size)))[0] for _ in range(GATES)]
            parameters[f"{direction}.recurrent.kernel"] = np.concatenate(orthogonal, axis=1).astype(np.float32)
            parameters[f"{direction}.bias"] = bias
        return {**parameters, **head_parameters(rng, 2 * size, options.dense_size, num_classes)}

    def layer(self, parameters: Mapping[str, np.ndarray], options: Any, *, wordpieces: np.ndarray, dropout: Any) -> Any:
        from rasa_compressed_bert.students.bilstm.layer import BiLstm

        return BiLstm(parameters, pooling=options.pooling, dropout=dropout)

    def graph(self, options: Any, tensors: Any) -> Any:
        from rasa_compressed_bert.students.bilstm.graph import bilstm_model

        return bilstm_model(tensors, pooling=options.pooling)


STUDENT = BiLstmStudent()
