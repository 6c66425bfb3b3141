"""A stored model that lost something: its file is named, and it never passes for an untrained model."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from component_harness import ANSWERERS, CASES, CLASSIFIERS, RESOURCE, RUNTIMES, create, load, make_storage, predict
from rasa.engine.storage.resource import Resource
from rasa.shared.exceptions import RasaException

from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact
from rasa_compressed_bert.components import resource_io
from rasa_compressed_bert.errors import ArtifactError, RuntimeMissingError
from rasa_compressed_bert.runtime import engines

pytestmark = pytest.mark.parametrize("case", [*CASES, *RUNTIMES], indirect=True)
MANIFEST = ["manifest.json", "manifest.sha256"]
GRAPHS = {"tflite": "model.tflite", "tensorflow": "model.pb"}
FILES = [*MANIFEST, "model.onnx", *GRAPHS.values(), "tokenizer.json", "views.safetensors", "weights.safetensors"]
FILES += ["spacy.msgpack", "documents.json", "passages.safetensors"]


def path_of(folder, name):
    """A file of the model; a test of one that other cases have has nothing to do."""
    if not (folder / name).exists():
        pytest.skip(f"{name} is of other cases")
    return folder / name


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the trained component's storage, and the folder of its artifact."""
    shutil.copytree(trained.folder, tmp_path / "copied")
    return make_storage(tmp_path / "copied"), tmp_path / "copied" / RESOURCE.name


def assert_load_fails(case, storage, *words, resource=RESOURCE):
    """With an exception whose words Rasa shows."""
    with pytest.raises(RasaException) as caught:
        load(case.component, case.config, storage, resource=resource)
    assert isinstance(caught.value.__cause__, ArtifactError)
    for word in words:
        assert word in str(caught.value)


def test_these_are_all_files(case, copied):
    graph = GRAPHS.get(case.config.get("runtime"), "model.onnx")
    own = ["spacy.msgpack"] if "spacy" in case.name else [graph, "tokenizer.json", "weights.safetensors"]
    views = ["views.safetensors"] if case.name.split()[0] in [name.split()[0] for name in CLASSIFIERS] else []
    documents = ["documents.json", "passages.safetensors"] if case.name in ANSWERERS else []
    assert sorted(path.name for path in copied[1].iterdir()) == sorted([*MANIFEST, *own, *views, *documents])


@pytest.mark.parametrize("name", FILES)
def test_missing_file(case, copied, name):
    storage, folder = copied
    path_of(folder, name).unlink()
    assert_load_fails(case, storage, f"'{name}'", "cannot be read")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 0.5, -1], ids=["begin", "middle", "end"])
def test_altered_file(case, copied, name, place):
    storage, folder = copied
    data = bytearray(path_of(folder, name).read_bytes())
    data[int(place * len(data)) if place > 0 else place] ^= 1
    (folder / name).write_bytes(bytes(data))
    assert_load_fails(case, storage, f"'{name}'", "altered")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_truncated_file(case, copied, name, share):
    storage, folder = copied
    data = path_of(folder, name).read_bytes()
    (folder / name).write_bytes(data[: int(share * len(data))])
    assert_load_fails(case, storage, f"'{name}'")


def test_missing_folder(case, copied):
    storage, folder = copied
    shutil.rmtree(folder)
    assert_load_fails(case, storage, f"no folder '{RESOURCE.name}'")


def test_empty_folder(case, copied):
    storage, folder = copied
    shutil.rmtree(folder)
    folder.mkdir()
    assert_load_fails(case, storage, "'manifest.json'")


def test_resource_that_was_never_written(case, storage):
    assert_load_fails(case, storage, "no folder 'another'", resource=Resource("another"))


def test_missing_inference_library_is_named_with_what_to_install(trained, monkeypatch):
    if trained.case.name in RUNTIMES:
        pytest.skip("the tests of these engines look at it")
    library = "spacy" if "spacy" in trained.case.name else "onnxruntime"
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(engines, "_OPEN", {})  # what another component of the process serves needs nothing new
    with pytest.raises(RasaException, match=f"'{library}' is not installed: pip install {library}") as caught:
        load(trained.case.component, trained.case.config, trained.storage)
    assert isinstance(caught.value.__cause__, RuntimeMissingError)


@pytest.mark.parametrize("change, words", [({"format_version": 99}, "99"), ({"runtime": "abacus"}, "'abacus'")])
def test_model_of_another_release_says_so(case, copied, change, words):
    storage, folder = copied
    text = json.dumps({**json.loads((folder / "manifest.json").read_text()), **change})
    (folder / "manifest.json").write_text(text)
    (folder / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())
    assert_load_fails(case, storage, words)


@pytest.fixture
def other(copied):
    """An artifact that shares no file with the one that is stored."""
    artifact = read_artifact(copied[1])
    return Artifact(artifact.manifest, {name: data + b" " for name, data in artifact.files.items()})


@pytest.mark.parametrize("missing", range(1, 6))
def test_half_written_model_is_never_loaded(case, other, storage, monkeypatch, missing):
    """The process dies, or the disk is full, before the last `missing` files, the manifest and its digest included."""
    save_and_fail(other, storage, monkeypatch, max(0, len(other.files) + 2 - missing))
    assert_load_fails(case, storage, "manifest")


@pytest.mark.parametrize("missing", range(1, 6))
def test_half_overwritten_model_is_never_loaded(case, other, copied, monkeypatch, missing):
    """`--finetune` writes where the model lies that it started from."""
    storage, _ = copied
    save_and_fail(other, storage, monkeypatch, max(0, len(other.files) + 2 - missing))
    name = "manifest.json" if missing <= 2 else next(iter(other.files))
    assert_load_fails(case, storage, f"'{name}'")


@pytest.mark.slow
def test_training_after_an_interrupted_one(quick, other, data, storage, monkeypatch):
    save_and_fail(other, storage, monkeypatch, min(2, len(other.files)))
    create(quick.component, quick.config, storage).train(data)
    (prediction,) = predict(load(quick.component, quick.config, storage), ["hello"])
    assert prediction


def save_and_fail(artifact, storage, monkeypatch, count):
    """What every training ends with; `count` files can be written, and half of the next one."""
    write, done = Path.write_bytes, []

    def write_bytes(path, data):
        if len(done) == count:
            write(path, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        done.append(path)
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        patch.setattr(Path, "write_text", lambda path, text: path.write_bytes(text.encode()))
        with pytest.raises(ArtifactError, match="cannot be written: .*No space left"):
            resource_io.save(artifact, storage, RESOURCE)
