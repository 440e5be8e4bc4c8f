"""Files written whole or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from finetune_fsm.errors import StorageError

_LOST = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
"""What a sync says when data did not reach the disk; other errors say that it does not know how."""

_numbers = itertools.count(1)
_in_use: set[str] = set()  # names of temporary files that this process is writing


def write_text(path: Path, text: str) -> None:
    """Put *text* (UTF-8, newlines as they are) at *path* atomically and durably.

    A reader sees the old bytes or the new ones, never a part. A symbolic link is followed, and an
    existing file's mode is kept. Missing parent folders are made. What a killed process left half
    written beside *path* is removed.

    Raises:
        StorageError: the disk, the folder or the permissions do not allow it.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Put *data* at *path* as `write_text` does, which also says what is raised."""
    target = Path(os.path.realpath(path))
    try:
        make_folders(target.parent)
        _sweep(target)
        _replace(target, data)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def appending(path: Path) -> Iterator[Callable[[str], None]]:
    """Lend what puts one text after the other into the file at *path*, begun anew.

    Only its owner may read the file. Each text is there as a whole for whoever reads it later;
    that it outlives a power failure is not waited for.

    Raises:
        StorageError: the disk, the folder or the permissions do not allow it.
    """
    try:
        make_folders(path.absolute().parent)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error

    def write(text: str) -> None:
        try:
            write_all(handle, text.encode("utf-8"))
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error

    try:
        yield write
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Write all of *data*; a system may take less at a time than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def sync(handle: int) -> None:
    """Return when everything written to *handle* is on the disk itself."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(handle, fcntl.F_FULLFSYNC)  # fsync only reaches the drive's own memory there
    else:
        os.fsync(handle)


def make_folders(folder: Path) -> None:
    """Make *folder* and those above it, as far as they are missing, their names durable."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(path)  # noqa: PTH102  # `os` alone
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a name in *folder*, new or replaced, durable.

    Raises:
        OSError: the disk says that it is not; a system that knows no such thing says nothing.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot, and need not
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in _LOST:
            raise
    finally:
        os.close(handle)


def _replace(target: Path, data: bytes) -> None:
    name = f".{target.name[:100]}.{os.getpid()}-{next(_numbers)}.tmp"
    _in_use.add(name)
    try:
        _write_and_rename(target.with_name(name), target, data)
    finally:
        _in_use.discard(name)
    sync_folder(target.parent)


def _write_and_rename(temporary: Path, target: Path, data: bytes) -> None:
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            write_all(handle, data)
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))  # noqa: PTH101  # `os` alone
            sync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, target)  # noqa: PTH105  # as above
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _sweep(target: Path) -> None:
    """Remove the temporary files of *target* whose process is dead."""
    pattern = re.compile(re.escape(f".{target.name[:100]}.") + r"(\d+)-\d+\.tmp")
    with os.scandir(target.parent) as entries:
        found = [(entry.path, pattern.fullmatch(entry.name)) for entry in entries]
    for path, match in found:
        if match and not _is_written(match[0], int(match[1])):
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108  # as above


def _is_written(name: str, pid: int) -> bool:
    """Whether the temporary file *name* of the process *pid* is still being written.

    In a container the same few numbers are given out again and again: one that is ours now may
    have been that of a process which was killed.
    """
    return name in _in_use if pid == os.getpid() else is_alive(pid)


def is_alive(pid: int) -> bool:
    """Whether a process has the number *pid* now; when the system does not say, it may."""
    if sys.platform == "win32":
        return True  # there os.kill would end it
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
