"""Weights in PyTorch's format are read safely by PyTorch, or not at all; a stub stands for PyTorch here."""

import pickle
import shutil
import sys
import types

import numpy as np
import pytest
import transformers
from random_models import pytorch_tensors

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models import hugging_face
from rasa_compressed_bert.models.pretrained import load_pretrained, weights_digest


class Tensor:
    """A stub with the used methods of a PyTorch tensor."""

    def __init__(self, values):
        self._values = values

    def is_floating_point(self):
        return self._values.dtype.kind == "f"

    def numel(self):
        return self._values.size

    def detach(self):
        return self

    def float(self):
        return Tensor(self._values.astype(np.float32))

    def numpy(self):
        return self._values


def load(path, *, map_location, weights_only):
    """A stub of `torch.load`: the files of the tests hold arrays."""
    assert map_location == "cpu" and weights_only is True
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: Tensor(arrays[name]) for name in arrays}
    except ValueError as error:
        raise pickle.UnpicklingError("Weights only load failed.") from error


@pytest.fixture
def pytorch(monkeypatch):
    """A stub of the installed PyTorch, whose version can be changed."""
    module = types.ModuleType("torch")
    module.__version__, module.load = "2.6.0+cpu", load
    module.is_tensor = lambda value: isinstance(value, Tensor)
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


@pytest.fixture
def folder(tmp_path, tiny_weights):
    """A folder with the tiny weights in PyTorch's format only."""
    copied = shutil.copytree(tiny_weights, tmp_path / "weights")
    (copied / "model.safetensors").unlink()
    tensors = pytorch_tensors(transformers.TFBertModel.from_pretrained(str(tiny_weights)))
    tensors["embeddings.position_ids"] = np.arange(160)[np.newaxis]  # in files of old versions
    with (copied / "pytorch_model.bin").open("wb") as file:
        np.savez(file, **tensors)
    return copied


def assert_same(read, expected):
    assert read.shape == expected.shape and read.tokenizer == expected.tokenizer
    for name, value in expected.parameters.items():
        np.testing.assert_array_equal(read.parameters[name], value)


@pytest.mark.parametrize("version", ["2.6.0+cpu", "2.10.1", "3.0.0a0"])
def test_it_gives_the_same_as_safetensors(pytorch, folder, tiny_weights, version):
    pytorch.__version__ = version
    assert weights_digest(str(folder))
    assert_same(load_pretrained(str(folder)), load_pretrained(str(tiny_weights)))


def test_of_a_hub(pytorch, folder, tiny_weights, tmp_path, monkeypatch):
    repository = tmp_path / "cache" / "models--someone--weights"
    for name in ("refs", "snapshots"):
        (repository / name).mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    folder.rename(repository / "snapshots" / ("0" * 40))
    monkeypatch.setattr(transformers.utils.hub, "TRANSFORMERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hugging_face, "_hub_answers", lambda: False)
    assert_same(load_pretrained("someone/weights"), load_pretrained(str(tiny_weights)))


@pytest.mark.parametrize("version", ["2.5.1", "1.13.0", None])
def test_without_a_safe_pytorch_it_is_not_read(pytorch, folder, monkeypatch, version):
    """Before 2.6, files could run code despite `weights_only`."""
    if version is None:
        monkeypatch.setitem(sys.modules, "torch", None)  # makes the import fail
    else:
        pytorch.__version__ = version
    message = "only in PyTorch's pickle format, .* Install PyTorch 2.6 or newer, .* safe_serialization=True"
    for read in (load_pretrained, weights_digest, hugging_face.read_checkpoint):
        with pytest.raises(WeightsError, match=message):
            read(str(folder))


def test_a_file_that_pytorch_refuses(pytorch, folder):
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"code": print}))
    with pytest.raises(WeightsError, match="Cannot read the weights in .*UnpicklingError: Weights only load failed"):
        load_pretrained(str(folder))


def test_tensors_that_repeat_a_value_very_often_are_not_read(pytorch, folder, monkeypatch):
    """A tensor of PyTorch may have any size, whatever is stored: here 4 TB."""
    huge = np.broadcast_to(np.float32(1.0), (2**20, 2**20))
    monkeypatch.setattr(pytorch, "load", lambda path, **_: {"embeddings.word_embeddings.weight": Tensor(huge)})
    with pytest.raises(WeightsError, match="'pytorch_model.bin' take 4398046511104 bytes in memory"):
        load_pretrained(str(folder))
