"""One process at a time.

The system holds the lock for an open file and frees it when the process ends, however it ends.
That a lock file lies there means nothing; what is written in it is for the message only.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from finetune_fsm.errors import Busy, StorageError
from finetune_fsm.sinks import one_line

_SIZE = 500  # bytes read of who holds it


class Lock:
    """A lock that is held; made by `Lock.take`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def take(cls, path: Path, what: str) -> Lock:
        """Return the lock at *path*, which is *what* people know it as.

        Raises:
            Busy: another process holds it; says which, and since when.
            StorageError: the file cannot be made, or its file system knows no locks.
        """
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
        try:
            taken = _locked(handle)
        except OSError as error:
            os.close(handle)
            reason = error.strerror or error
            raise StorageError(f"cannot lock {path}: {reason} — use a local disk") from error
        if not taken:
            holder = _holder(handle)
            os.close(handle)
            raise Busy(f"{what} is being worked on by {holder} — wait for it to end")
        try:
            _sign(handle)
        except OSError as error:
            os.close(handle)
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
        return cls(handle)

    def release(self) -> None:
        """Let others have it; twice is harmless."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def holder(path: Path) -> int | None:
    """Return the living process of this machine that signed the lock at *path* last, or None.

    It is for showing: whether the lock is free, only `Lock.take` finds out, and a reader that tried
    would keep a run from starting.
    """
    with suppress(OSError, ValueError, LookupError, TypeError):
        said = json.loads(path.read_bytes()[:_SIZE])
        number = int(said["pid"])
        if said["host"] == socket.gethostname() and number > 0 and _lives(number):
            return number
    return None


def _sign(handle: int) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, json.dumps(mine).encode())


def _holder(handle: int) -> str:
    with suppress(OSError, ValueError, LookupError, TypeError):
        os.lseek(handle, 0, os.SEEK_SET)
        said = json.loads(os.read(handle, _SIZE))
        host = "" if said["host"] == socket.gethostname() else f" on {said['host']}"
        return one_line(f"process {said['pid']}{host} since {said['started']}")
    return "another process"


if sys.platform == "win32":

    def _lives(process: int) -> bool:
        del process  # to ask, as below, would end it there
        return True

    def _locked(handle: int) -> bool:
        import msvcrt

        # A byte far behind the text, which must stay readable to others.
        os.lseek(handle, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _lives(process: int) -> bool:
        try:
            os.kill(process, 0)
        except PermissionError:  # another user's
            return True
        except OSError:
            return False
        return True

    def _locked(handle: int) -> bool:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
