"""An artifact is read exactly as it was written, or refused."""

import hashlib
import json

import pytest

from rasa_compressed_bert import __version__
from rasa_compressed_bert.artifact import artifact as module
from rasa_compressed_bert.artifact.artifact import (
    FILES,
    FORMAT_VERSION,
    GRAPH,
    MANIFEST,
    MANIFEST_DIGEST,
    TENSORFLOW_GRAPH,
    TFLITE_MODEL,
    TOKENIZER,
    WEIGHTS,
    Artifact,
    read_artifact,
    write_artifact,
)
from rasa_compressed_bert.errors import ArtifactError

ARTIFACT = Artifact({"labels": ["weather", "späße"], "temperature": 1.25}, {name: name.encode() * 9 for name in FILES})
ON_DISK = (MANIFEST, MANIFEST_DIGEST, *FILES)


@pytest.fixture
def folder(tmp_path):
    write_artifact(ARTIFACT, tmp_path / "model")
    return tmp_path / "model"


def write_manifest(folder, text):
    """Writes a manifest and its digest."""
    (folder / MANIFEST).write_bytes(text)
    (folder / MANIFEST_DIGEST).write_text(hashlib.sha256(text).hexdigest())


def test_round_trip(folder):
    read = read_artifact(folder)
    assert read.files == ARTIFACT.files and read.size == sum(9 * len(name) for name in FILES)
    assert {name: read.manifest[name] for name in ARTIFACT.manifest} == ARTIFACT.manifest
    assert {path.name for path in folder.iterdir()} == set(ON_DISK)


def test_artifact_that_was_read_can_be_written_again(folder, tmp_path):
    write_artifact(read_artifact(folder), tmp_path / "again")
    for name in ON_DISK:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_model_without_training_data_has_no_files(tmp_path):
    write_artifact(Artifact({"labels": []}, {}), tmp_path)
    assert read_artifact(tmp_path).files == {}


def test_writing_over_another_model_leaves_nothing_of_it(folder):
    write_artifact(Artifact({"labels": ["a"]}, {name: b"new" for name in FILES}), folder)
    read = read_artifact(folder)
    assert read.manifest["labels"] == ["a"] and set(read.files.values()) == {b"new"}


@pytest.mark.parametrize("graph", [GRAPH, TFLITE_MODEL, TENSORFLOW_GRAPH])
def test_model_of_one_runtime_has_the_files_of_that_runtime(folder, graph):
    files = {TOKENIZER: b"t", graph: b"g", WEIGHTS: b"w"}
    write_artifact(Artifact({"runtime": "one"}, files), folder)
    read = read_artifact(folder)
    assert read.files == files and read.size == 3, "what another model left in the folder is none of this one"
    (folder / graph).unlink()
    with pytest.raises(ArtifactError, match=f"'{graph}'"):
        read_artifact(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(ArtifactError, match=MANIFEST):
        read_artifact(tmp_path / "none")


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS])
def test_a_device_is_not_read(folder, name):
    """It has no end."""
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match=f"'{name}' .* cannot be read: it is not a file"):
        read_artifact(folder)


@pytest.mark.parametrize("name", ON_DISK)
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"'{name}'"):
        read_artifact(folder)


def test_file_that_is_too_large_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_FILE", 10)
    with pytest.raises(ArtifactError, match=r"'manifest.json' .* bytes, more than any model"):
        read_artifact(folder)


def test_manifest_that_is_too_large_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_DESCRIPTION", 10)
    with pytest.raises(ArtifactError, match="'manifest.json' .* bytes, more than any model"):
        read_artifact(folder)


def test_digest_that_is_too_large_is_not_read(folder):
    with (folder / module.MANIFEST_DIGEST).open("ab") as file:
        file.truncate(100_000)
    with pytest.raises(ArtifactError, match="'manifest.sha256' .* 100000 bytes, more than any model"):
        read_artifact(folder)


@pytest.mark.parametrize("name", ON_DISK)
def test_folder_in_place_of_a_file_is_named(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ArtifactError, match=f"'{name}'"):
        read_artifact(folder)


@pytest.mark.parametrize("length", [0, 1, -1])
@pytest.mark.parametrize("name", ON_DISK)
def test_truncated_file_is_named(folder, name, length):
    (folder / name).write_bytes((folder / name).read_bytes()[:length])
    with pytest.raises(ArtifactError, match=f"'{name}'"):
        read_artifact(folder)


@pytest.mark.parametrize("name", ON_DISK)
def test_longer_file_is_named(folder, name):
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ArtifactError, match=f"'{name}'"):
        read_artifact(folder)


@pytest.mark.parametrize("name", ON_DISK)
def test_every_single_bit_counts(folder, name):
    data = (folder / name).read_bytes()
    for position in range(0, 8 * len(data), 1 + len(data) // 60):
        altered = bytearray(data)
        altered[position // 8] ^= 1 << position % 8
        (folder / name).write_bytes(altered)
        with pytest.raises(ArtifactError, match=f"'{name}'"):
            read_artifact(folder)
    (folder / name).write_bytes(data)
    read_artifact(folder)


def test_swapped_files_are_noticed(folder):
    first, second = (folder / GRAPH).read_bytes(), (folder / WEIGHTS).read_bytes()
    (folder / GRAPH).write_bytes(second)
    (folder / WEIGHTS).write_bytes(first)
    with pytest.raises(ArtifactError, match=GRAPH):
        read_artifact(folder)


def test_the_manifest_names_the_release_that_wrote_it(folder, tmp_path):
    artifact = read_artifact(folder)
    assert artifact.manifest["written_by"] == __version__
    write_artifact(Artifact({**artifact.manifest, "written_by": "0.1.0"}, artifact.files), tmp_path / "again")
    assert read_artifact(tmp_path / "again").manifest["written_by"] == __version__


@pytest.mark.parametrize(
    "version, written_by, words",
    [
        (None, None, "format version None.*Train the model again"),
        (0, None, "format version 0.*Train the model again"),
        (1, None, "in format version 1; rasa_compressed_bert .* reads versions 2, 3, 4, 5. Train the model again"),
        ("1", "0.1.0", "by rasa_compressed_bert 0.1.0 in format version 1.*Train the model again"),
        (FORMAT_VERSION + 1, "9.0.0", "bert 9.0.0 in .*Install release 9.0.0, or train the model again"),
        (FORMAT_VERSION + 1, None, "Install a newer release, or train the model again"),
    ],
)
def test_other_format_version(folder, version, written_by, words):
    manifest = {**json.loads((folder / MANIFEST).read_text()), "format_version": version, "written_by": written_by}
    write_manifest(folder, json.dumps(manifest).encode())
    with pytest.raises(ArtifactError, match=words) as caught:
        read_artifact(folder)
    assert "damaged" not in str(caught.value)


def test_an_older_format_is_read(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["written_by"]
    write_manifest(folder, json.dumps({**manifest, "format_version": 2}).encode())
    assert read_artifact(folder).manifest["format_version"] == 2


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"1"])
def test_manifest_that_is_no_json_object(folder, text):
    write_manifest(folder, text)
    with pytest.raises(ArtifactError, match=MANIFEST):
        read_artifact(folder)


@pytest.mark.parametrize("files", [None, [], {WEIGHTS: {}}, {TOKENIZER: 3}])
def test_manifest_that_does_not_say_what_files_there_are(folder, files):
    manifest = json.loads((folder / MANIFEST).read_text())
    write_manifest(folder, json.dumps({**manifest, "files": files}).encode())
    with pytest.raises(ArtifactError, match=MANIFEST):
        read_artifact(folder)


def test_folder_whose_writing_was_interrupted_is_not_read(tmp_path, monkeypatch):
    from pathlib import Path

    written = Path.write_bytes

    def interrupted(path, data):
        if path.name == MANIFEST:
            raise KeyboardInterrupt
        return written(path, data)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_artifact(ARTIFACT, tmp_path)
    with pytest.raises(ArtifactError, match=MANIFEST):
        read_artifact(tmp_path)


@pytest.mark.parametrize("name, size", [(GRAPH, 2**22), (TOKENIZER, 2**26)])
def test_a_file_that_would_take_far_more_memory_is_not_read(folder, name, size):
    """Checking a 2 MB graph of empty nodes took 10 seconds, and 90 times its size in memory."""
    with (folder / name).open("r+b") as file:
        file.truncate(size + 1)
    with pytest.raises(ArtifactError, match=f"'{name}' .* bytes, more than any model"):
        read_artifact(folder)
