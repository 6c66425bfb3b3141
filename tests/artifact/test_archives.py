import errno
import gzip
import io
import os
import tarfile
import tempfile
from contextlib import nullcontext
from unittest.mock import Mock

import pytest
from small_archives import NODE, small_artifact, write_archive

from rasa_compressed_bert.artifact import archives
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.errors import CompressedBertError


def make_tar(path, *members):
    with tarfile.open(str(path), "w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_unpacks_what_rasa_packed(archive):
    with archives.unpacked(archive) as folder:
        assert (folder / "components" / NODE / "manifest.json").is_file()
        assert list(archives.artifacts_in(folder)) == [NODE]
    assert not folder.exists()


def test_components_are_in_the_order_of_the_pipeline(tmp_path):
    """Of several, Rasa's last one decides; the eleventh is not the second, and an earlier letter not an earlier one."""
    names = ["train_z.Pruned2", "train_z.Pruned9", "train_z.Pruned10", "train_a.Distilled11"]
    artifacts = {name: Artifact({**small_artifact().manifest, "own": name}, small_artifact().files) for name in names}
    archive = write_archive(tmp_path / "model.tar.gz", artifacts)
    assert list(archives.artifacts_of(archive)) == names
    assert archives.last_with(archive, "labels", component="Pruned").manifest["own"] == names[-1]


@pytest.mark.parametrize("name", ["../escaped.txt", "/tmp/escaped.txt", "components/../../escaped.txt"])
def test_members_that_escape_are_refused(tmp_path, name):
    path = make_tar(tmp_path / "model.tar.gz", (tarfile.TarInfo(name), b"x"))
    with pytest.raises(CompressedBertError, match="not safe to unpack"), archives.unpacked(path):
        pass
    assert not (tmp_path / "escaped.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    member = tarfile.TarInfo("components/link")
    member.type, member.linkname = kind, "/etc/passwd"
    path = make_tar(tmp_path / "model.tar.gz", (member, b""))
    with pytest.raises(CompressedBertError, match="not safe to unpack"), archives.unpacked(path):
        pass


def test_no_archive_and_a_truncated_one_are_refused(tmp_path, archive):
    broken = tmp_path / "broken.tar.gz"
    for data in (b"", b"no archive", archive.read_bytes()[: archive.stat().st_size // 2]):
        broken.write_bytes(data)
        with pytest.raises(CompressedBertError, match="not a readable Rasa model"), archives.unpacked(broken):
            pass


def test_an_archive_that_fills_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_FILE", 30_000)
    path = make_tar(tmp_path / "model.tar.gz", *((tarfile.TarInfo(name), b"x" * 20_000) for name in "ab"))
    with pytest.raises(CompressedBertError, match="more than 30000 bytes of files"), archives.unpacked(path):
        pass


def test_a_full_disk_is_not_taken_for_a_damaged_model(archive, monkeypatch):
    monkeypatch.setattr(archives, "_write", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(CompressedBertError, match=f"cannot be unpacked, as '{tempfile.gettempdir()}' is full"):
        with archives.unpacked(archive):
            pass


def test_an_archive_of_very_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 20)
    for count in (20, 21):
        path = make_tar(tmp_path / f"{count}.tar.gz", *((tarfile.TarInfo(f"f{name}"), b"") for name in range(count)))
        refused = pytest.raises(CompressedBertError, match="has more than 20 files") if count > 20 else nullcontext()
        with refused, archives.unpacked(path) as folder:
            assert len(list(folder.iterdir())) == 20


def test_very_many_headers_of_one_member_are_refused(tmp_path):
    header = tarfile.TarInfo("comment")
    header.type, header.size = tarfile.XHDTYPE, 10
    block = header.tobuf() + b"9 a=bbbb\n".ljust(512, b"\0")
    path = tmp_path / "model.tar.gz"
    path.write_bytes(gzip.compress(block * 5000))
    with pytest.raises(CompressedBertError, match="not a readable Rasa model"), archives.unpacked(path):
        pass


LARGE = 2**22


@pytest.mark.parametrize(
    "kind, content",
    [(tarfile.GNUTYPE_LONGNAME, b"\0"), (tarfile.XHDTYPE, b"0"), (tarfile.XGLTYPE, b"0")],
    ids=["name", "attributes", "attributes of all files"],
)
def test_a_large_header_is_refused(tmp_path, kind, content):
    """It would take several times its size in memory; attributes, in Python before 3.10.15, also hours."""
    header = tarfile.TarInfo("a")
    header.type, header.size = kind, LARGE
    path = tmp_path / "model.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf() + content * LARGE, 1))
    with pytest.raises(CompressedBertError, match="the header of a file has more than"), archives.unpacked(path):
        pass


def test_a_large_map_of_a_sparse_file_is_refused(tmp_path):
    """tarfile reads it as part of the header, number by number."""
    map_of_zeros = f"{LARGE}\n".encode() + b"0\n" * (LARGE // 2)
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("components/file")
        member.size, member.pax_headers = len(map_of_zeros), {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        tar.addfile(member, io.BytesIO(map_of_zeros))
    with pytest.raises(CompressedBertError, match="the header of a file has more than"), archives.unpacked(path):
        pass


@pytest.mark.parametrize("name", ["a" * 200, "\u00fc" * 90, "folder/" * 20 + "file"])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_unpacked(tmp_path, name, form):
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz", format=form) as tar:
        for number in range(3):
            member = tarfile.TarInfo(f"{name}{number}")
            member.size, member.mtime = 100_000, 1.5
            tar.addfile(member, io.BytesIO(bytes(100_000)))
    with archives.unpacked(path) as folder:
        assert all((folder / f"{name}{number}").stat().st_size == 100_000 for number in range(3))


@pytest.mark.parametrize("headers", [{"GNU.sparse.realsize": "-9000"}, {"size": "-512"}])
def test_headers_that_lie_about_the_size_are_refused(tmp_path, headers):
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("components/file")
        member.pax_headers = headers
        tar.addfile(member, io.BytesIO(b""))
    with pytest.raises(CompressedBertError, match="not safe to unpack|not a readable"), archives.unpacked(path):
        pass


def test_newest_of_a_folder(tmp_path):
    for age, name in enumerate(("b", "c", "a")):
        path = tmp_path / f"{name}.tar.gz"
        path.write_bytes(b"")
        os.utime(str(path), (age, age))
    assert archives.archive_path(tmp_path).name == "a.tar.gz"


def test_missing_model_and_empty_folder(tmp_path):
    with pytest.raises(CompressedBertError, match="There is no model"):
        archives.archive_path(tmp_path / "nothing.tar.gz")
    with pytest.raises(CompressedBertError, match="holds no trained model"):
        archives.archive_path(tmp_path)


def test_archive_without_nlu_is_refused(tmp_path):
    core = write_archive(tmp_path / "core.tar.gz", {}, nlu=False)
    with pytest.raises(CompressedBertError, match="no NLU model"):
        archives.require_nlu(core)
    archives.require_nlu(write_archive(tmp_path / "nlu.tar.gz", {}))


def test_a_description_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    """Parsed JSON takes twenty times its size in memory, and repetitive JSON compresses to almost nothing."""
    archive = make_tar(tmp_path / "large.tar.gz", (tarfile.TarInfo("metadata.json"), b'{"nlu_target": ' + b"[]" * 99))
    monkeypatch.setattr(archives, "LARGEST_DESCRIPTION", 100)
    with pytest.raises(CompressedBertError, match="metadata.json is too large"):
        archives.require_nlu(archive)


def test_archive_of_something_else_is_refused(tmp_path):
    other = make_tar(tmp_path / "other.tar.gz", (tarfile.TarInfo("readme.txt"), b"hello"))
    with pytest.raises(CompressedBertError, match="not a trained Rasa model"):
        archives.require_nlu(other)
    listed = make_tar(tmp_path / "list.tar.gz", (tarfile.TarInfo("metadata.json"), b"[]"))
    with pytest.raises(CompressedBertError, match="metadata.json is not a JSON object"):
        archives.require_nlu(listed)


def test_folders_count_towards_the_limit_of_files_and_their_depth_is_limited(tmp_path, monkeypatch):
    """One archive member can create two thousand folders, and very deep folders cannot even be removed."""
    members = ((tarfile.TarInfo("a/" * depth + "f"), b"") for depth in (400, 800, 1200))
    deep = make_tar(tmp_path / "deep.tar.gz", *members)
    with pytest.raises(CompressedBertError, match="nested folders"), archives.unpacked(deep):
        pass
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 20)
    members = ((tarfile.TarInfo(f"{number}/a/a/a/a/a/a/a/f"), b"") for number in range(5))
    wide = make_tar(tmp_path / "wide.tar.gz", *members)
    with pytest.raises(CompressedBertError, match="has more than 20 files"), archives.unpacked(wide):
        pass
