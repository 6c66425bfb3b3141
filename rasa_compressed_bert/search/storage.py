"""The storage of a study: a journal file or a database, which any number of machines can share."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Iterator, List
from urllib.parse import unquote

import sqlalchemy.exc
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from rasa_compressed_bert.errors import CompressedBertError

_ATTEMPTS, _PAUSE = 4, 0.5  # pause in seconds
_ADDRESS = re.compile(r"(?P<scheme>[\w+.-]+://)(?P<user>[^@/?#]*@)?(?P<place>[^@?#]*)([?#][^@]*)?")
"""Address of a database in which it is clear where user and password end."""
_HOST = re.compile(r"(\[[^\]]*\]|[^:/]*)(:\d*)?(/.*)?")
"""Host, port and name of a database. With a word instead of the port, they may be a user and a password."""
_LIKE_ADDRESS = re.compile(r"(?!.:[\\/]).*:.*@")
"""A path that may be an address with user and password, but not one with a drive."""
_FILE = "sqlite:///"
"""Prefix of the address of a database file, which has no user and no password; its path may contain @."""
_JOURNAL = b'{"op_code"'
"""The beginning of a journal file."""
_SHORT = 4  # characters; shorter secrets may occur in any word


def open_storage(storage: str) -> BaseStorage:
    """Opens a journal file by its path, or a database by its address, such as `sqlite:///study.db`.

    Raises:
        CompressedBertError: if it cannot be reached.
    """
    place = shown(storage)
    try:
        if "://" in storage:
            return _open_database(storage)
        path = Path(storage).absolute()  # the lock is a link to it; a relative one would start at its own folder
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_journal(path)
        _drop_half_a_line(path)
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # errors of SQLAlchemy, of its drivers, of the file system
        reason = _first_line(error, storage)
        raise CompressedBertError(f"--storage: '{place}' cannot be reached: {reason}") from None  # hides the password


def shown(storage: str) -> str:
    """A storage in printable form: an address without user, password and parameters.

    Raises:
        CompressedBertError: if it is not clear where they end, or if a file seems to be an address without `://`.
    """
    if "://" not in storage:
        if _LIKE_ADDRESS.match(storage):
            raise CompressedBertError(
                "--storage: this may be the address of a database, but it lacks ://; write it as in "
                "postgresql://user:password@host/name."
            )
        return storage
    if storage.startswith(_FILE):
        return storage.partition("?")[0]
    found = _ADDRESS.fullmatch(storage)
    if not found or not (found["user"] or _HOST.fullmatch(found["place"])):
        raise CompressedBertError(
            "--storage: the address of the database is ambiguous; write @, /, ? and # in user, password and parameters "
            "as %40, %2F, %3F and %23, and do not leave out @ and the host after the password."
        )
    return found["scheme"] + found["place"]


@contextlib.contextmanager
def storage_errors(storage: str) -> Iterator[None]:
    """A context manager that turns errors of a storage or a folder into a `CompressedBertError`."""
    try:
        yield
    except (OSError, StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        raise CompressedBertError(
            f"search: the study cannot be read or written: {_first_line(error, storage)}. Finished "
            "trials are kept; --resume continues from them."
        ) from None  # as above


def _open_database(address: str) -> RDBStorage:
    """Opens a database, again after an error, as another worker may be creating its tables at the same moment."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(sqlalchemy.exc.IntegrityError):
            try:
                return RDBStorage(address)
            except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ProgrammingError) as error:
                if "already exists" not in str(error):
                    raise
        time.sleep(_PAUSE)
    return RDBStorage(address)


def _require_journal(path: Path) -> None:
    """Refuses any other file, such as a database whose address lacks `sqlite:///`: it would be damaged.

    Raises:
        ValueError: if the file exists, is not empty, and does not begin as a journal of Optuna.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        begin = file.read(len(_JOURNAL))
    if not _JOURNAL.startswith(begin):  # also a part of it, see `_drop_half_a_line`
        raise ValueError(f"it is not a journal file of a search. A database is named by its address: {_FILE}{path}")


def _drop_half_a_line(path: Path) -> None:
    """Removes an incomplete last line, left by a full disk or a killed process: lines after it could not be read."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        with path.open("rb+") as file:
            content = file.read()
            if not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _first_line(error: BaseException, storage: str) -> str:
    """The first line of an error message without the secrets of an address, which some libraries repeat."""
    text = [*str(error).strip().splitlines(), repr(error)][0].replace(storage, shown(storage))
    for secret in _secrets(storage):
        escaped = re.escape(secret)
        text = re.sub(rf"(?<!\w){escaped}(?!\w)" if len(secret) < _SHORT else escaped, "***", text)
    return text


def _secrets(storage: str) -> List[str]:
    """User, password and parameters of an address, URL-encoded and decoded, longest first."""
    if "://" not in storage:
        return []
    rest = storage.partition("://")[2]
    before = "" if storage.startswith(_FILE) else rest.rpartition("@")[0]
    user, _, password = before.partition(":")
    parameters = [pair.partition("=")[2] for pair in rest.partition("?")[2].split("&")]
    written = [before, password, user, *parameters]
    return sorted({secret for text in written for secret in (text, unquote(text)) if secret}, key=len, reverse=True)
