"""Weights in PyTorch's own format, a pickle: PyTorch reads them where it is installed, and nothing else here does."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import numpy as np
from safetensors.numpy import save_file

from rasa_compressed_bert.errors import WeightsError

PYTORCH_FILE = "pytorch_model.bin"
PICKLED = (
    "holds weights in PyTorch's pickle format alone, which may run any code when it is read. Install PyTorch 2.6 or "
    f"newer, which reads {PYTORCH_FILE} without running code; or, if you trust them, write them anew where PyTorch is "
    "installed: AutoModel.from_pretrained(NAME).save_pretrained(FOLDER, safe_serialization=True)"
)
_SAFE = (2, 6)  # before, a file could run code in spite of `weights_only` (CVE-2025-32434)


def safe_pytorch() -> Any:
    """The module `torch`, where it is installed and its `weights_only` keeps what it promises; None elsewhere."""
    try:
        import torch
    except ImportError:
        return None
    return torch if tuple(map(int, torch.__version__.split(".")[:2])) >= _SAFE else None


def require_pytorch() -> Any:
    """The module `torch`.

    Raises:
        WeightsError: if it is not installed, or too old to read files safely.
    """
    torch = safe_pytorch()
    if torch is None:
        raise WeightsError(f"it {PICKLED}")
    return torch


@contextmanager
def as_safetensors(path: Path) -> Iterator[str]:
    """A temporary folder with the tensors of a file as PyTorch's `model.safetensors`, which transformers can read.

    Args:
        path: a file that `torch.save` wrote.

    Raises:
        WeightsError: if PyTorch is not installed, or too old to read it safely.
    """
    torch = require_pytorch()
    tensors = {
        name: np.ascontiguousarray(value.detach().float().numpy())
        for name, value in torch.load(path, map_location="cpu", weights_only=True).items()
        if torch.is_tensor(value) and value.is_floating_point()  # others are numbers of positions, which are no weights
    }
    with tempfile.TemporaryDirectory() as folder:
        save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        yield folder
