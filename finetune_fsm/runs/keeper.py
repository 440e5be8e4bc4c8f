"""A run being written down: who holds its lock and adds to its journal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from finetune_fsm.codec import plain
from finetune_fsm.errors import StorageError
from finetune_fsm.llm.memo import Call
from finetune_fsm.llm.meter import Meter
from finetune_fsm.loop.entries import entry_data
from finetune_fsm.loop.machine import Entry
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Settings
from finetune_fsm.runs import places
from finetune_fsm.runs.places import LOCK
from finetune_fsm.runs.records import (
    BEGIN,
    CALL,
    INTENT,
    NOTE,
    OUTCOME,
    RESUME,
    STEP,
    Beginning,
    Resumption,
)
from finetune_fsm.storage.journal import Journal
from finetune_fsm.storage.lock import Lock
from finetune_fsm.tools.kept import Intent, Outcome


class Keeper:
    """Writes down what happens; safe to use from several threads.

    Args:
        journal: Where to.
        meter: Knows the seconds of work so far.
    """

    def __init__(self, journal: Journal, meter: Meter) -> None:
        self._journal = journal
        self._meter = meter
        self._lock = threading.Lock()

    def begin(self, beginning: Beginning) -> None:
        """Write the first line."""
        self._append(BEGIN, beginning)

    def resume(self, resumption: Resumption) -> None:
        """Write that a new session begins."""
        self._append(RESUME, resumption)

    def call(self, call: Call) -> None:
        """Write a call down; when this returns, it may be used."""
        self._append(CALL, call)

    def intent(self, intent: Intent) -> None:
        """Write down that a tool is about to be called; when this returns, it may be."""
        self._append(INTENT, intent)

    def outcome(self, outcome: Outcome) -> None:
        """Write down what came of it; when this returns, it may be used."""
        self._append(OUTCOME, outcome)

    def step(self, entry: Entry, run: Run) -> None:
        """Write down *entry*, after which *run* is known; then the loop may move."""
        self._append(STEP, entry_data(entry, run))

    def note(self, message: str) -> None:
        """Write down what a person should know."""
        self._append(NOTE, {"message": message})

    def close(self) -> None:
        """Let go of the journal; nothing is written any more."""
        with self._lock:
            self._journal.close()

    def _append(self, kind: str, value: object) -> None:
        data = plain(value)
        with self._lock:
            self._journal.append(kind, data, at=round(self._meter.seconds, 3))


@contextmanager
def kept(journal: Journal, meter: Meter) -> Iterator[Keeper]:
    """Hold *journal* open for a keeper inside the block."""
    keeper = Keeper(journal, meter)
    try:
        yield keeper
    finally:
        keeper.close()


@contextmanager
def alone(home: Path, settings: Settings) -> Iterator[None]:
    """Hold the lock of all runs of a workflow, which are in *home*, inside the block.

    That of the output is held, too: another workflow's run may have been told to write there.

    Raises:
        Busy: another process has one of them.
        StorageError: the first cannot be had.
    """
    with ExitStack() as held:
        held.callback(Lock.take(home / LOCK, str(settings.workflow)).release)
        # Without it the output is still written whole, and the last to end has it: no reason to
        # stop where several people share a folder, and the lock is another's.
        with suppress(StorageError):
            where = places.make_writers_home(settings.output)
            if not where.samefile(home):
                held.callback(Lock.take(where / LOCK, str(settings.output)).release)
        yield


def now() -> str:
    """The present moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
