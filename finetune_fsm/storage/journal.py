r"""A file of records that only grows: what is in it survives the process, and the power cut.

One record is one line of canonical JSON, whose checksum comes first::

    {"crc":"5f1d2c07","at":1.5,"data":{…},"kind":"leave","seq":17}

The checksum is the CRC-32 of the rest of the line's bytes, from the byte after its comma on to
the closing brace; ``seq`` counts lines from 1. A record counts once `Journal.append` has returned:
then it is on the disk. A process killed while writing leaves a last line that is torn; readers
leave it out, and the next writer cuts it off. Anything else that does not fit (a flipped bit, a
missing line, two writers) is not guessed at: nothing is changed and the line is named.

Bytes, not text, because a model may write lone surrogates: they are kept as they are.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.codec import canonical
from finetune_fsm.errors import JournalError, StorageError
from finetune_fsm.storage.files import sync, sync_folder, write_all

_CRC = b'{"crc":"%08x",'
_CRC_LENGTH = len(_CRC % 0)
_START = b'{"crc":"'


@dataclass(frozen=True, slots=True)
class Record:
    """One line.

    Attributes:
        seq: Its number, from 1.
        kind: What it is about.
        data: What it says, plain.
        at: Seconds of work since the run began, over all its sessions.
    """

    seq: int
    kind: str
    data: Mapping[str, object]
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A journal, read.

    Attributes:
        records: Those that are whole, in order.
        size: Bytes that they take.
        torn: Bytes after them: a record that was being written when the process died.
    """

    records: tuple[Record, ...]
    size: int
    torn: int = 0


def read(path: Path) -> Reading:
    """Return what the journal at *path* holds; nothing is changed.

    Raises:
        StorageError: it cannot be read.
        JournalError: a line before the last is damaged; says which.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    return parsed(data, str(path))


def parsed(data: bytes, name: str = "the journal") -> Reading:
    """Return the records in *data*, called *name* in messages; raises as `read` does. Pure."""
    records: list[Record] = []
    size = 0
    for line in _lines(data):
        record = _record(line, len(records) + 1)
        if record is None:
            if size + len(line) < len(data) or _holds_a_record(line):
                raise _damaged(name, len(records) + 1)
            break
        records.append(record)
        size += len(line)
    return Reading(tuple(records), size, len(data) - size)


def sound_prefix(data: bytes) -> bytes:
    """Return the bytes of *data* up to the first line that does not fit. Pure."""
    size = 0
    for number, line in enumerate(_lines(data), 1):
        if _record(line, number) is None:
            break
        size += len(line)
    return data[:size]


def line_of(record: Record) -> bytes:
    """Return *record* as the bytes of its line, newline included. Pure."""
    body = {"at": record.at, "data": record.data, "kind": record.kind, "seq": record.seq}
    rest = canonical(body)[1:].encode("utf-8", "surrogatepass") + b"\n"
    return _CRC % zlib.crc32(rest) + rest


def write_whole(path: Path, records: Iterable[Record]) -> None:
    """Put a journal that holds *records* at *path*, whole or not at all; then it is on the disk.

    Raises:
        StorageError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(handle, b"".join(map(line_of, records)))
            sync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)  # noqa: PTH105  # `os` alone
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


class Journal:
    """A journal held open for writing; one writer at a time, which `storage.lock` sees to.

    Args:
        path: Where it is.
        handle: Open for reading and writing.
        reading: What it holds.
    """

    def __init__(self, path: Path, handle: int, reading: Reading) -> None:
        self._path = path
        self._handle = handle
        self._count = len(reading.records)
        self._size = reading.size
        self._broken = ""

    @classmethod
    def create(cls, path: Path) -> Journal:
        """Return a new, empty journal, its name durable.

        Raises:
            StorageError: it cannot be made.
        """
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            sync_folder(path.parent)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
        return cls(path, handle, Reading((), 0))

    @classmethod
    def reopen(cls, path: Path) -> tuple[Journal, Reading]:
        """Return the journal at *path*, a torn last line cut off, and what it holds.

        Raises:
            StorageError: it cannot be read or written.
            JournalError: it is damaged; nothing has been changed.
        """
        reading = read(path)
        try:
            handle = os.open(path, os.O_RDWR)
            if reading.torn:
                os.ftruncate(handle, reading.size)
                sync(handle)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
        return cls(path, handle, reading), reading

    def append(self, kind: str, data: Mapping[str, object], *, at: float = 0.0) -> Record:
        """Add a record; when this returns, it is on the disk.

        Raises:
            StorageError: it is not, and no part of it is left behind. After a failed sync the
                system may have forgotten what it was to write, so nothing is taken any more.
        """
        if self._broken:
            raise StorageError(f"cannot write {self._path}: {self._broken}")
        record = Record(self._count + 1, kind, data, at)
        line = line_of(record)
        try:
            os.stat(self._path)  # noqa: PTH116  # a file that was deleted takes what is then lost
            os.lseek(self._handle, self._size, os.SEEK_SET)
            write_all(self._handle, line)
        except OSError as error:
            self._take_back()
            raise StorageError(f"cannot write {self._path}: {error.strerror or error}") from error
        try:
            sync(self._handle)
        except OSError as error:
            self._take_back()
            why = error.strerror or str(error)
            self._broken = f"an earlier write failed: {why}"  # the first error is the one to tell
            raise StorageError(f"cannot write {self._path}: {why}") from error
        self._count, self._size = record.seq, self._size + len(line)
        return record

    def close(self) -> None:
        """Let go of the file; twice is harmless."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)
        self._broken = self._broken or "it is closed"

    def _take_back(self) -> None:
        # What cannot be cut off now is a torn last line, which the next session cuts off.
        try:
            os.ftruncate(self._handle, self._size)
        except OSError as error:
            self._broken = f"an earlier write failed: {error.strerror or error}"


def _lines(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _record(line: bytes, seq: int) -> Record | None:
    """The record in *line*, if it is whole and the one with number *seq*."""
    rest = line[_CRC_LENGTH:]
    if not line.endswith(b"\n") or line[:_CRC_LENGTH] != _CRC % zlib.crc32(rest):
        return None
    with suppress(ValueError, RecursionError):
        body = json.loads(b"{" + rest)
        fields = (body.get("kind"), body.get("data"), body.get("at"))
        match fields:
            case (str(kind), dict(data), int() | float() as at) if body.get("seq") == seq:
                return Record(seq, kind, data, float(at))
    return None


def _holds_a_record(line: bytes) -> bool:
    """Whether a whole record is the end of *line*: then it is out of place, or lost its newline."""
    start = line.find(_START)
    while start >= 0:
        rest = line[start + _CRC_LENGTH :]
        if line[start : start + _CRC_LENGTH] == _CRC % zlib.crc32(rest):
            return True
        start = line.find(_START, start + 1)
    return False


def _damaged(name: str, line: int) -> JournalError:
    return JournalError(
        f"{name}:{line}: the journal is damaged here, and nothing was changed — "
        "'agentmech runs repair' copies what is sound before it"
    )
