"""Weights in PyTorch's own format, a pickle, which is read only by PyTorch itself if it is installed."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import numpy as np
from safetensors.numpy import save_file

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models.own_limits import require_limited_tensors

PYTORCH_FILE = "pytorch_model.bin"
PICKLED = (
    "holds weights only in PyTorch's pickle format, which may run any code when it is read. Install PyTorch 2.6 or "
    f"newer, which reads {PYTORCH_FILE} without running code; or, if you trust them, convert them where PyTorch is "
    "installed: AutoModel.from_pretrained(NAME).save_pretrained(FOLDER, safe_serialization=True)"
)
_BYTES = 4  # of a float
_SAFE = (2, 6)  # in earlier versions, a file could run code in spite of `weights_only` (CVE-2025-32434)


def safe_pytorch() -> Any:
    """The module `torch`, if it is installed in a version whose `weights_only` is safe; else None."""
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
    """Converts the tensors of a file to `model.safetensors` in a temporary folder, which transformers can read.

    Args:
        path: a file written by `torch.save`.

    Raises:
        WeightsError: if PyTorch is not installed, or too old to read it safely, or if the tensors are too large.
    """
    torch = require_pytorch()
    stored = {
        name: value
        for name, value in torch.load(path, map_location="cpu", weights_only=True).items()
        if torch.is_tensor(value) and value.is_floating_point()  # others are indices of positions, not weights
    }
    size = sum(_BYTES * value.numel() for value in stored.values())  # a tensor may repeat a value any number of times
    require_limited_tensors(size, file=path.name)
    tensors = {name: np.ascontiguousarray(value.detach().float().numpy()) for name, value in stored.items()}
    with tempfile.TemporaryDirectory() as folder:
        save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        yield folder
