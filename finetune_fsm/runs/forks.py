"""A run that begins like another one: its first steps, and every answer that the other one had.

The answers stand before the steps. So all of them are known, none is waited for, and what the
other run paid for after the fork is free when it is asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from finetune_fsm.codec import plain
from finetune_fsm.errors import JournalError, UsageError
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.settings import Settings
from finetune_fsm.loop.table import LoopState
from finetune_fsm.runs import places
from finetune_fsm.runs.history import History, rebuilt
from finetune_fsm.runs.places import JOURNAL
from finetune_fsm.runs.records import BEGIN, CALL, NOTE, RESUME, STEP, Beginning, Resumption
from finetune_fsm.storage.journal import Reading, Record, line_of, parsed, read, write_whole


def forked(
    folder: Path, at: int, *, version: str, now: str, settings: Settings | None = None
) -> Path:
    """Return the folder of a new run whose journal is that of *folder* up to step *at*.

    *folder* is only read, and may be in use. The new run is there as a whole or not at all.

    Args:
        folder: Of any run.
        at: The last step that both have in common, 1-based.
        version: Of this package.
        now: The present moment, as in `Beginning.started`.
        settings: What is asked for from there on; what was asked for before without.

    Raises:
        UsageError: there is no such step, the run is over there, or earlier steps would have gone
            another way with these settings.
        BadRun: the journal cannot be trusted.
        StorageError: it cannot be read or written.
    """
    reading = read(folder / JOURNAL)
    history = rebuilt(folder, reading)
    check_step(history, at)
    beginning = replace(history.beginning, version=version, started=now)
    wanted = settings or history.settings
    lines = tuple(_numbered(_records(history, reading, at, beginning, wanted)))
    _check(folder, at, lines)
    copy = places.make_run(folder.parent, datetime.now(UTC))
    write_whole(copy / JOURNAL, lines)
    return copy


def check_step(history: History, number: int) -> None:
    """Raise UsageError when no run can go on behind step *number* of *history*."""
    count = len(history.steps)
    if not 1 <= number <= count:
        there = f"1 to {count}" if count else "none yet"
        raise UsageError(f"{history.folder} has no step {number}: there is {there}")
    if history.entries[number - 1].target is LoopState.DONE:
        raise UsageError(f"the run is over at step {number}: name an earlier one")


def _check(folder: Path, at: int, lines: tuple[Record, ...]) -> None:
    """Read what would be written: other settings may not fit the steps that are kept."""
    try:
        rebuilt(folder, parsed(b"".join(map(line_of, lines))))
    except (JournalError, ValueError) as error:
        message = "with these settings an earlier step would have gone another way"
        raise UsageError(f"{message}: fork before step {at}, or leave them ({error})") from error


def _records(
    history: History, reading: Reading, at: int, beginning: Beginning, wanted: Settings
) -> Iterator[Record]:
    """The new journal's records, not numbered yet; times are those of the old one."""
    steps = history.steps[:at]
    end = reading.records[steps[-1].seq - 1].at
    yield Record(0, BEGIN, plain(beginning))
    for seq, _ in history.calls:
        call = reading.records[seq - 1]
        yield Record(0, CALL, call.data, min(call.at, end))
    said = history.beginning.settings
    for number in range(at + 1):
        when = reading.records[steps[number - 1].seq - 1].at if number else 0.0
        if number:
            yield Record(0, STEP, steps[number - 1].data, when)
        if number < at and number in history.retaken:
            said = history.settings
            yield _resumption(history, number, beginning, said, when)
    if at in history.retaken or wanted != said:
        yield _resumption(history, at, beginning, wanted, end)
    yield Record(0, NOTE, {"message": f"forked from {history.folder.name} at step {at}"}, end)


def _resumption(
    history: History, keep: int, beginning: Beginning, settings: Settings, at: float
) -> Record:
    """The record that what is asked for may be another thing from step *keep* on."""
    lost = history.lost.get(keep, Usage())
    made = Resumption(keep, beginning.version, beginning.started, beginning.llm, settings, lost)
    return Record(0, RESUME, plain(made), at)


def _numbered(records: Iterator[Record]) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        yield replace(record, seq=number)
