"""Runs read again when their journals have changed, and not before."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import StorageError
from finetune_fsm.runs.history import History, load
from finetune_fsm.runs.places import JOURNAL, LOCK, in_home
from finetune_fsm.storage.lock import holder

KEPT = 64
"""Runs whose history is kept in memory."""

_REST = 3.0
"""How many times as long as reading took, nothing is read again: a long journal costs no core."""

_Stamp = tuple[int, int]


@dataclass(slots=True)
class _Read:
    stamp: _Stamp
    history: History
    again: float  # time.monotonic() from which on it may be read once more


class Watch:
    """Knows the runs that somebody looks at; safe to use from several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, _Read] = OrderedDict()
        self._reading: dict[Path, threading.Lock] = {}
        self._lock = threading.Lock()

    def history(self, folder: Path, *, now: bool = True) -> History:
        """Return the run in *folder* as its journal has it *now*, or had it a moment ago.

        Raises:
            BadRun: the journal is damaged, empty, or of another version.
            StorageError: it cannot be read.
        """
        with self._lock:
            turn = self._reading.setdefault(folder, threading.Lock())
        with turn:  # a long journal keeps those waiting who want the same one, and nobody else
            stamp = _stamp(folder / JOURNAL)
            with self._lock:
                found = self._known.get(folder)
            old = found is not None and found.stamp != stamp
            if found is None or (old and (now or time.monotonic() >= found.again)):
                started = time.monotonic()
                history = load(folder)
                ended = time.monotonic()
                found = _Read(stamp, history, ended + _REST * (ended - started))
            self._keep(folder, found)
            return found.history

    def _keep(self, folder: Path, found: _Read) -> None:
        with self._lock:
            self._known[folder] = found
            self._known.move_to_end(folder)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)


def worked_on_elsewhere(folder: Path, history: History) -> int | None:
    """Return the other process that is at work on the run in *folder*, or None.

    The lock is that of all runs of a workflow, so only the newest of them can be meant.
    """
    if history.finished or history.done:
        return None
    home = folder.parent
    return holder(home / LOCK) if in_home(home)[-1:] == [folder] else None


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    return found.st_size, found.st_mtime_ns
