"""A damaged model: the error names the file, and the model is never taken for an untrained one."""

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

ALL = {**CASES, **RUNTIMES}
GRAPHS = {"tflite": "model.tflite", "tensorflow": "model.pb"}


def files_of(case):
    """The file names of a case's model."""
    graph = GRAPHS.get(ALL[case].get("runtime"), "model.onnx")
    own = ["spacy.msgpack"] if "spacy" in case else [graph, "tokenizer.json", "weights.safetensors"]
    views = ["views.safetensors"] if case.split()[0] in [name.split()[0] for name in CLASSIFIERS] else []
    documents = ["documents.json", "passages.safetensors"] if case in ANSWERERS else []
    return ["manifest.json", "manifest.sha256", *own, *views, *documents]


each_case = pytest.mark.parametrize("case", CASES, indirect=True)
each_file = pytest.mark.parametrize(
    "case, name",
    [
        *((case, name) for case in CASES for name in files_of(case)),
        *((case, GRAPHS[config["runtime"]]) for case, config in RUNTIMES.items()),  # their other files are the same
    ],
    indirect=["case"],
)


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the trained component's storage, and the folder of its artifact."""
    shutil.copytree(trained.folder, tmp_path / "copied")
    return make_storage(tmp_path / "copied"), tmp_path / "copied" / RESOURCE.name


def assert_load_fails(case, storage, *words, resource=RESOURCE):
    """Asserts that loading raises an exception whose message Rasa shows."""
    with pytest.raises(RasaException) as caught:
        load(case.component, case.config, storage, resource=resource)
    assert isinstance(caught.value.__cause__, ArtifactError)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("case", ALL, indirect=True)
def test_a_model_has_exactly_these_files(case, trained):
    found = [path.name for path in (trained.folder / RESOURCE.name).iterdir()]
    assert sorted(found) == sorted(files_of(case.name))


@each_file
def test_missing_file(case, copied, name):
    storage, folder = copied
    (folder / name).unlink()
    assert_load_fails(case, storage, f"'{name}'", "cannot be read")


@each_file
@pytest.mark.parametrize("place", [0, 0.5, -1], ids=["begin", "middle", "end"])
def test_altered_file(case, copied, name, place):
    storage, folder = copied
    data = bytearray((folder / name).read_bytes())
    data[int(place * len(data)) if place > 0 else place] ^= 1
    (folder / name).write_bytes(bytes(data))
    assert_load_fails(case, storage, f"'{name}'", "altered")


@each_file
@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_truncated_file(case, copied, name, share):
    storage, folder = copied
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(share * len(data))])
    assert_load_fails(case, storage, f"'{name}'")


@each_case
def test_missing_folder(case, copied):
    storage, folder = copied
    shutil.rmtree(folder)
    assert_load_fails(case, storage, f"no folder '{RESOURCE.name}'")


@each_case
def test_empty_folder(case, copied):
    storage, folder = copied
    shutil.rmtree(folder)
    folder.mkdir()
    assert_load_fails(case, storage, "'manifest.json'")


@each_case
def test_resource_that_was_never_written(case, storage):
    assert_load_fails(case, storage, "no folder 'another'", resource=Resource("another"))


@each_case
def test_missing_inference_library_is_named_with_what_to_install(trained, monkeypatch):
    library = "spacy" if "spacy" in trained.case.name else "onnxruntime"
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(engines, "_OPEN", {})  # an engine that is already open needs no library
    with pytest.raises(RasaException, match=f"'{library}' is not installed: pip install '?{library}") as caught:
        load(trained.case.component, trained.case.config, trained.storage)
    assert isinstance(caught.value.__cause__, RuntimeMissingError)


@each_case
@pytest.mark.parametrize("change, words", [({"format_version": 99}, "99"), ({"runtime": "abacus"}, "'abacus'")])
def test_model_of_another_release_says_so(case, copied, change, words):
    storage, folder = copied
    text = json.dumps({**json.loads((folder / "manifest.json").read_text()), **change})
    (folder / "manifest.json").write_text(text)
    (folder / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())
    assert_load_fails(case, storage, words)


@pytest.fixture
def other(copied):
    """An artifact with no file in common with the stored one."""
    artifact = read_artifact(copied[1])
    return Artifact(artifact.manifest, {name: data + b" " for name, data in artifact.files.items()})


@each_case
@pytest.mark.parametrize("missing", range(1, 6))
def test_half_written_model_is_never_loaded(case, other, storage, monkeypatch, missing):
    """The process dies, or the disk is full, before the last `missing` files; the manifest and its digest come last."""
    save_and_fail(other, storage, monkeypatch, max(0, len(other.files) + 2 - missing))
    assert_load_fails(case, storage, "manifest")


@each_case
@pytest.mark.parametrize("missing", range(1, 6))
def test_half_overwritten_model_is_never_loaded(case, other, copied, monkeypatch, missing):
    """`--finetune` overwrites the model that it started from."""
    storage, _ = copied
    save_and_fail(other, storage, monkeypatch, max(0, len(other.files) + 2 - missing))
    name = "manifest.json" if missing <= 2 else next(iter(other.files))
    assert_load_fails(case, storage, f"'{name}'")


@pytest.mark.slow
@each_case
def test_training_after_an_interrupted_one(quick, other, data, storage, monkeypatch):
    save_and_fail(other, storage, monkeypatch, min(2, len(other.files)))
    create(quick.component, quick.config, storage).train(data)
    predict(load(quick.component, quick.config, storage), ["hello"])
    assert resource_io.load(storage, RESOURCE).files, "an untrained model has none"


def save_and_fail(artifact, storage, monkeypatch, count):
    """Saves the artifact, as every training does, onto a disk that fills up in the middle of file `count` + 1."""
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
