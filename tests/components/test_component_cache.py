"""Pretrained weights are compressed once per weights folder and settings, and kept in Rasa's own training cache."""

import logging
import os
import shutil
import subprocess
import sys
import tracemalloc

import pytest
from component_harness import (
    FEATURIZERS,
    MESSAGES,
    create,
    make_storage,
    predict,
    train,
    training_data,
    weights_of,
)
from rasa.shared.exceptions import InvalidConfigException

from rasa_compressed_bert.artifact import cache
from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact
from rasa_compressed_bert.components import config_io, resource_io
from rasa_compressed_bert.config import (
    BertAnswerExtractorConfig,
    DistilledIntentClassifierConfig,
    PrunedBertIntentClassifierConfig,
)
from rasa_compressed_bert.tasks import featurization

FILES = ["manifest.json", "manifest.sha256", "model.onnx", "tokenizer.json", "weights.safetensors"]
WHATEVER = Artifact({"kind": "featurizer"}, {"tokenizer.json": b"{}"})
compression = pytest.mark.parametrize("case", FEATURIZERS, indirect=True)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder of the cached compressed weights, empty at first."""
    monkeypatch.setenv("RASA_CACHE_DIRECTORY", str(tmp_path / "kept"))
    return tmp_path / "kept" / "rasa_compressed_bert"


@pytest.fixture
def compressed(kept, monkeypatch):
    """The configurations of all compressions so far, which are really done."""
    calls, compress = [], featurization.compress_encoder
    monkeypatch.setattr(
        featurization, "compress_encoder", lambda messages, config: calls.append(config) or compress(messages, config)
    )
    return calls


@pytest.fixture
def pretended(kept, monkeypatch):
    """The configurations of all compressions so far, which are replaced by a stub."""
    calls = []
    monkeypatch.setattr(featurization, "compress_encoder", lambda _, config: calls.append(config) or WHATEVER)
    monkeypatch.setattr(featurization, "warn_of_messages", lambda *_: None)  # the stub has no tokenizer
    return calls


@pytest.fixture
def train_with(case, tmp_path):
    """Trains the component, each time in a new storage."""

    def train_with(examples={"greet": ["hello", "hi"]}, **options):  # noqa: B006
        storage = make_storage(tmp_path / f"storage{len(list(tmp_path.glob('storage*')))}")
        create(case.component, {**case.config, **options}, storage).train(training_data(examples, words=True))

    return train_with


@compression
def test_second_training_takes_what_the_first_one_compressed(case, compressed, tmp_path):
    storages = [make_storage(tmp_path / name) for name in ("one", "two")]
    examples = [{"greet": ["hello"]}, {"greet": ["other messages"], "weather": ["oh it is hot"]}]
    one, two = (
        train(case.component, case.config, training_data(data, words=True), storage)
        for data, storage in zip(examples, storages)
    )
    assert len(compressed) == 1
    assert predict(one, MESSAGES) == predict(two, MESSAGES)


@compression
def test_options_of_serving_do_not_matter(train_with, pretended):
    for options in ({}, {"alias": "bert"}, {"pooling": "cls"}, {"num_threads": 2}):
        train_with(**options)
    assert len(pretended) == 1


@compression
def test_each_other_setting_is_compressed_once(train_with, pretended, kept):
    settings = [
        {},
        {"max_length": 31},
        {"runtime": "tensorflow"},
        {"quantization": {"per_channel": False}},
        {"quantization": {"method": "kmeans", "embedding_bits": 4}},
    ]
    for _ in range(2):
        for options in settings:
            train_with(**options)
    assert len(pretended) == len(settings) == len(list(kept.iterdir()))
    assert len(set(map(str, pretended))) == len(settings)


@compression
@pytest.mark.parametrize("options", [{"vocabulary": "trim"}, {"quantization": {"method": "static_int8"}}], ids=str)
def test_messages_matter_to_formats_that_read_them(train_with, pretended, options):
    for examples in ({"a": ["hot"]}, {"b": ["hot"]}, {"a": ["cold"]}, {"a": ["hot"]}):
        train_with(examples, **options)
    assert len(pretended) == 2


@compression
def test_other_content_of_the_weights_is_compressed_anew(case, train_with, pretended, tmp_path):
    folder = shutil.copytree(weights_of(case.config), tmp_path / "weights")
    train_with(model_weights=str(folder))
    with (folder / "tokenizer.json").open("a") as file:
        file.write("\n")
    train_with(model_weights=str(folder))
    assert len(pretended) == 2


@compression
def test_other_source_of_the_package_compresses_anew(train_with, pretended, monkeypatch):
    train_with()
    monkeypatch.setattr(config_io, "_source_digest", lambda: "changed")
    train_with()
    assert len(pretended) == 2


@compression
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["gone", "cut", "altered"])
def test_damaged_entry_is_made_again(train_with, pretended, kept, name, damage, caplog, monkeypatch):
    made = Artifact({"kind": "featurizer"}, {name: name.encode() for name in FILES[2:]})
    monkeypatch.setattr(featurization, "compress_encoder", lambda _, config: pretended.append(config) or made)
    train_with()
    (entry,) = kept.iterdir()
    data = (entry / name).read_bytes()
    (entry / name).unlink()
    if damage != "gone":
        (entry / name).write_bytes(data[:-1] + (b"" if damage == "cut" else bytes([data[-1] ^ 1])))
    train_with()
    assert len(pretended) == 2
    train_with()
    assert len(pretended) == 2 and read_artifact(entry).files == made.files and not caplog.records


@compression
def test_folder_that_cannot_be_made_is_one_warning(train_with, pretended, kept, caplog):
    kept.parent.write_text("a file in its place")
    for count in (1, 2):
        with caplog.at_level(logging.WARNING):
            train_with()
        assert len(pretended) == count
    assert [record.getMessage().partition(" in ")[0] for record in caplog.records] == [
        "The compressed weights cannot be cached"
    ] * 2


@compression
def test_full_disk_is_one_warning_and_leaves_nothing_half_done(train_with, pretended, kept, monkeypatch, caplog):
    def fail(artifact, folder):
        folder.mkdir()
        (folder / "tokenizer.json").write_bytes(b"{")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(cache, "write_artifact", fail)
        train_with()
    assert "No space left" in caplog.text and not list(kept.iterdir())
    train_with()
    train_with()
    assert len(pretended) == 2


@compression
def test_entry_of_another_user_is_read(train_with, pretended, monkeypatch, caplog):
    """As in a container image whose cache was written by another user."""
    train_with()

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.os, "utime", refuse)
    monkeypatch.setattr(cache.tempfile, "TemporaryDirectory", refuse)
    train_with()
    assert len(pretended) == 1 and not caplog.records


@compression
@pytest.mark.parametrize("size", ["0", "0.0"])
def test_rasas_switch_turns_our_cache_off(train_with, pretended, kept, monkeypatch, size):
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", size)
    train_with()
    train_with()
    assert len(pretended) == 2 and not kept.exists()


@compression
def test_failed_compression_keeps_nothing(train_with, kept, monkeypatch):
    monkeypatch.setattr(featurization, "compress_encoder", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train_with()
    assert not kept.exists()


def keep(folder, key, made, *, most):
    return cache.cached(folder, key, lambda: made.append(key) or WHATEVER, most=most)


def test_the_least_recently_used_are_evicted(tmp_path):
    keep(tmp_path / "one", "a", [], most=0)
    size = sum(path.stat().st_size for path in (tmp_path / "one" / "a").iterdir())
    made, folder = [], tmp_path / "some"
    for age, key in enumerate("abcde"):
        keep(folder, key, made, most=5.5 * size)
        os.utime(folder / key, (1000 + age, 1000 + age))
    keep(folder, "a", made, most=5.5 * size)
    keep(folder, "f", made, most=5.5 * size)
    assert made == list("abcdef")
    assert sorted(path.name for path in folder.iterdir()) == list("acdef")
    keep(folder, "g", made, most=0.5 * size)
    assert [path.name for path in folder.iterdir()] == ["g"], "one that is larger than all that may be kept"


@pytest.mark.parametrize("stray", [".DS_Store", "Thumbs.db"])
def test_a_stray_file_does_not_prevent_eviction(tmp_path, caplog, stray):
    tmp_path.joinpath(stray).write_bytes(b"x")
    os.utime(tmp_path / stray, (2**32, 2**32))  # newer than all entries, but it must not be kept instead of one
    for age, key in enumerate("abc"):
        keep(tmp_path, key, [], most=0)
        os.utime(tmp_path / key, (1000 + age, 1000 + age))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([stray, "c"]) and not caplog.records


def test_what_a_killed_write_left_is_evicted(tmp_path):
    """It lies one folder deeper than a complete entry."""
    left = tmp_path / "tmpkilled" / "a"
    left.mkdir(parents=True)
    (left / "weights.safetensors").write_bytes(bytes(1_000_000))
    os.utime(left.parent, (1000, 1000))
    keep(tmp_path, "b", [], most=500_000)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_rasa_keeps_its_own_cache_beside_ours(tmp_path, monkeypatch):
    """Rasa evicts its own entries until the whole folder is within its limit."""
    monkeypatch.setenv("RASA_CACHE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "2")
    large = Artifact({"kind": "featurizer"}, {"tokenizer.json": b"x" * 400_000})
    for key in "abcdef":
        resource_io.cached(key, lambda: large)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.*")) <= 1024**2


def test_concurrent_processes_do_not_disturb_each_other(tmp_path):
    """They write, read, damage and evict the same entries, without any error or warning."""
    script = """
import sys
from pathlib import Path
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.artifact.cache import cached
folder = Path(sys.argv[1])
for turn in range(150):
    key = f"key{turn % 7}"
    expected = Artifact({"kind": "featurizer"}, {"tokenizer.json": key.encode() * 50_000, "model.onnx": b"x"})
    artifact = cached(folder, key, lambda: expected, most=5 * len(expected.files["tokenizer.json"]))
    assert artifact.files == expected.files
    if turn % 5 == 0:
        (folder / key / "model.onnx").unlink(missing_ok=True)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert said == ["", ""] and [process.returncode for process in processes] == [0, 0]
    left = {path.name for path in tmp_path.iterdir()}
    assert left and left <= {f"key{number}" for number in range(7)}


@pytest.mark.parametrize("name", ["tensorflow-macos", "tensorflow-intel", "tensorflow-cpu-aws", "onnxruntime-gpu"])
def test_fingerprint_follows_a_library_under_another_name(name, monkeypatch):
    """On some platforms Rasa installs TensorFlow under another package name."""
    monkeypatch.setattr(config_io, "_version", config_io._version.__wrapped__)
    monkeypatch.setattr(config_io.metadata, "PackageNotFoundError", KeyError)
    fingerprints = set()
    for version in ("2.12.0", "2.12.1"):
        monkeypatch.setattr(config_io.metadata, "version", lambda package, version=version: {name: version}[package])
        fingerprints.add(config_io.fingerprint(PrunedBertIntentClassifierConfig, {"model_weights": "some/name"}))
    assert len(fingerprints) == 2


def test_fingerprint_ignores_hidden_files(tmp_path, tiny_weights):
    """A Finder that looks at a folder would otherwise start a training of an hour."""
    weights, documents = tmp_path / "weights", tmp_path / "documents"
    shutil.copytree(str(tiny_weights), str(weights))
    documents.mkdir()
    (documents / "a.md").write_text("a")
    config = {"model_weights": str(weights), "documents": str(documents)}
    before = config_io.fingerprint(BertAnswerExtractorConfig, config)
    (documents / ".git").mkdir()
    for path in (weights / ".DS_Store", documents / ".DS_Store", documents / ".git" / "index"):
        path.write_text("hidden")
    assert config_io.fingerprint(BertAnswerExtractorConfig, config) == before
    (documents / "b.md").write_text("b")
    assert config_io.fingerprint(BertAnswerExtractorConfig, config) != before


@pytest.mark.parametrize("option", ["documents", "training_data", "model_weights"])
def test_files_without_read_permission_are_one_sentence(option, tmp_path, tiny_weights, monkeypatch):
    """Such as in a container, which runs as another user."""

    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "documents").mkdir()
    files = {"documents": tmp_path / "documents" / "a.md", "training_data": tmp_path / "questions.json"}
    for path in files.values():
        path.write_text("a")
    config = {"documents": str(tmp_path / "documents"), "training_data": str(files["training_data"])}
    config = {option: {**config, "model_weights": str(tiny_weights)}[option]}
    config_io.fingerprint(BertAnswerExtractorConfig, config)  # reads our own source code, which is cached
    for reading in ("open", "read_bytes"):
        monkeypatch.setattr(config_io.Path, reading, refuse)
    named = "A file or folder that the options of BertAnswerExtractor name cannot be read: .*Permission denied"
    with pytest.raises(InvalidConfigException, match=named):
        config_io.fingerprint(BertAnswerExtractorConfig, config)


@pytest.mark.parametrize(
    "config_class, config, option",
    [
        (BertAnswerExtractorConfig, {"documents": "nowhere"}, "documents"),
        (BertAnswerExtractorConfig, {"training_data": ["nowhere"]}, "training_data"),
        (PrunedBertIntentClassifierConfig, {"out_of_scope": {"messages": "nowhere"}}, "out_of_scope.messages"),
        (DistilledIntentClassifierConfig, {"out_of_scope": {"messages": "nowhere"}}, "out_of_scope.messages"),
        (DistilledIntentClassifierConfig, {"teacher": {"model": "nowhere"}}, "teacher.model"),
        (DistilledIntentClassifierConfig, {"teacher": {"predictions": "nowhere"}}, "teacher.predictions"),
        (DistilledIntentClassifierConfig, {"augmentation": {"unlabelled": "nowhere"}}, "augmentation.unlabelled"),
    ],
)
def test_files_that_are_not_there_are_named_before_anything_is_trained(config_class, config, option):
    with pytest.raises(InvalidConfigException, match=f"^{option}: there is no file or folder 'nowhere'.$"):
        config_io.fingerprint(config_class, config)


def test_large_files_beside_documents_are_not_read_into_memory(tmp_path):
    """Files that are no documents, such as videos, may lie in the same folder."""
    with (tmp_path / "talk.mp4").open("wb") as file:
        file.truncate(50 * 2**20)
    options = BertAnswerExtractorConfig(documents=str(tmp_path), model_weights="a/name")
    tracemalloc.start()
    try:
        config_io.named_content(options)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
