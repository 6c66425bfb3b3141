"""The initial parameters of the student bilstm."""

from __future__ import annotations

from typing import Dict

import numpy as np

from rasa_compressed_bert.students.keras.parameters import glorot, head_parameters

DIRECTIONS = ("forward", "backward")
GATES = 4  # input, output, forget, cell: in ONNX's order
_FORGET_BIAS = 1.0


def bilstm_parameters(
    table: np.ndarray, *, hidden_size: int, dense_size: int, num_classes: int, seed: int
) -> Dict[str, np.ndarray]:
    """New parameters by name.

    Args:
        table: embeddings of the wordpieces, `(V, E)`.
        hidden_size: units of each direction, `H`.
        dense_size: units of the ReLU layer.
        num_classes: number of intents, `C`.
        seed: random seed.

    Returns:
        For each direction `input.kernel` `(E, 4 H)`, `recurrent.kernel` `(H, 4 H)` with orthogonal blocks, and `bias`
        `(4 H,)`, which is 1 for the forget gate; the embeddings and the head.
    """
    rng = np.random.default_rng(seed)
    size = hidden_size
    bias = np.zeros(GATES * size, np.float32)
    bias[2 * size : 3 * size] = _FORGET_BIAS
    parameters: Dict[str, np.ndarray] = {"embeddings.word": table.astype(np.float32)}
    for direction in DIRECTIONS:
        parameters[f"{direction}.input.kernel"] = glorot(rng, table.shape[1], GATES * size)
        orthogonal = [np.linalg.qr(rng.normal(size=(size, size)))[0] for _ in range(GATES)]
        parameters[f"{direction}.recurrent.kernel"] = np.concatenate(orthogonal, axis=1).astype(np.float32)
        parameters[f"{direction}.bias"] = bias
    return {**parameters, **head_parameters(rng, 2 * size, dense_size, num_classes)}
