"""A run rebuilt from its journal: outcomes are folded, nothing is run or decided again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from finetune_fsm.codec import restore
from finetune_fsm.errors import BadRun, JournalError, UsageError
from finetune_fsm.llm.base import Usage
from finetune_fsm.llm.memo import Call
from finetune_fsm.loop.entries import entry_of
from finetune_fsm.loop.learning import advance
from finetune_fsm.loop.machine import Entered, Entry, Leaving, Moment
from finetune_fsm.loop.outcomes import UNFINISHED, Confirmed, Finished, Interrupted
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Settings
from finetune_fsm.loop.table import LoopState, target_of
from finetune_fsm.runs import records
from finetune_fsm.runs.places import JOURNAL
from finetune_fsm.runs.records import BEGIN, FORMAT, Beginning, Resumption
from finetune_fsm.storage.journal import Reading, Record, read
from finetune_fsm.tools.kept import Intent, Outcome


@dataclass(frozen=True, slots=True)
class Step:
    """A step as the journal has it, its entry still plain data."""

    seq: int
    data: Mapping[str, object]
    mark: str


@dataclass(frozen=True, slots=True)
class History:
    """All that a journal says.

    Attributes:
        folder: Of the run.
        beginning: What it was started with.
        settings: What is asked for now.
        run: What is known.
        state: Where the loop stands.
        steps: Those that count, as data.
        entries: The same, one per step.
        calls: Every question that was answered, in order, each with the number of its line.
        retaken: Numbers of steps whose target a later session decided anew.
        lost: What was paid for requests that broke off, by the number of the step before.
        seconds: Of work, over all sessions.
        sessions: How often the run was started or resumed.
        notes: For people.
        torn: Bytes of a record that was being written when the process died.
        begun: Calls of tools that were about to be made.
        ended: What came of those that came back.
    """

    folder: Path
    beginning: Beginning
    settings: Settings
    run: Run
    state: LoopState
    steps: tuple[Step, ...]
    entries: tuple[Entry, ...]
    calls: tuple[tuple[int, Call], ...]
    retaken: frozenset[int]
    lost: Mapping[int, Usage]
    seconds: float
    sessions: int
    notes: tuple[str, ...]
    torn: int
    begun: tuple[Intent, ...] = ()
    ended: tuple[Outcome, ...] = ()

    @property
    def unused(self) -> frozenset[str]:
        """Keys of the answers that no step has used: the state they were for was not left."""
        used = self.steps[-1].seq if self.steps else 0
        return frozenset(call.key for seq, call in self.calls if seq > used)

    @property
    def owed(self) -> Usage:
        """What those answers cost."""
        unused = self.unused
        return sum((call.usage for _, call in self.calls if call.key in unused), Usage())

    @property
    def done(self) -> bool:
        """Whether the loop came to its end, whichever."""
        return self.state is LoopState.DONE

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do, so that it cannot be resumed."""
        return self.done and self.run.ending not in UNFINISHED


@dataclass(slots=True)
class _Lines:
    """The journal's records, sorted by what they say."""

    settings: Settings
    steps: list[Step] = field(default_factory=list)
    calls: list[tuple[int, Call]] = field(default_factory=list)
    retaken: set[int] = field(default_factory=set)
    lost: dict[int, Usage] = field(default_factory=dict)
    sessions: int = 1
    notes: list[str] = field(default_factory=list)
    begun: list[Intent] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)

    def add(self, record: Record) -> None:
        match record.kind:
            case records.STEP:
                self.steps.append(Step(record.seq, record.data, str(record.data["mark"])))
            case records.CALL:
                self.calls.append((record.seq, restore(Call, record.data)))
            case records.RESUME:
                resumption = restore(Resumption, record.data)
                del self.steps[resumption.keep :]
                self.settings = resumption.settings
                self.retaken.add(resumption.keep)
                self.lost[resumption.keep] = resumption.lost
                self.sessions += 1
            case records.INTENT:
                self.begun.append(restore(Intent, record.data))
            case records.OUTCOME:
                self.ended.append(restore(Outcome, record.data))
            case records.NOTE:
                self.notes.append(str(record.data["message"]))
            case _:
                raise JournalError(f"line {record.seq} is of a kind unknown here: {record.kind}")


def beginning_of(folder: Path) -> Beginning:
    """Return what the run in *folder* was started with, and look at nothing behind it.

    Raises:
        BadRun: its journal is damaged, empty, or of another version.
        StorageError: it cannot be read.
    """
    path = folder / JOURNAL
    return _beginning(read(path).records, path)


def load(folder: Path) -> History:
    """Return the run in *folder*; nothing is changed.

    Raises:
        BadRun: its journal is damaged, empty, or of another version.
        StorageError: it cannot be read.
    """
    return rebuilt(folder, read(folder / JOURNAL))


def rebuilt(folder: Path, reading: Reading) -> History:
    """Return the run in *folder* whose journal says *reading*; raises as `load` does. Pure."""
    path = folder / JOURNAL
    beginning = _beginning(reading.records, path)
    lines = _Lines(beginning.settings)
    for record in reading.records[1:]:
        try:
            lines.add(record)
        except (TypeError, ValueError, KeyError) as error:
            message = f"{path}:{record.seq}: this line makes no sense to this version: {error}"
            raise JournalError(message) from error
    last = reading.records[-1]
    try:
        run, state, entries = fold(
            lines.settings,
            beginning.original,
            lines.steps,
            retaken=frozenset(lines.retaken),
            lost=lines.lost,
        )
    except JournalError as error:
        raise JournalError(f"{path}: {error}") from error
    return History(
        folder=folder,
        beginning=beginning,
        settings=lines.settings,
        run=run,
        state=state,
        steps=tuple(lines.steps),
        entries=entries,
        calls=tuple(lines.calls),
        retaken=frozenset(lines.retaken),
        lost=lines.lost,
        seconds=last.at,
        sessions=lines.sessions,
        notes=tuple(lines.notes),
        torn=reading.torn,
        begun=tuple(lines.begun),
        ended=tuple(lines.ended),
    )


def fold(
    settings: Settings,
    original: str,
    steps: Sequence[Step],
    *,
    retaken: frozenset[int],
    lost: Mapping[int, Usage],
) -> tuple[Run, LoopState, tuple[Entry, ...]]:
    """Return what is known after *steps*, where the loop stands, and the entries. Pure.

    Args:
        settings: What is asked for.
        original: The workflow's text.
        steps: In order, from the first.
        retaken: Numbers of steps after which a session began: there, what was asked for may have
            changed, and with it where the loop goes.
        lost: What broke off after the steps of these numbers.

    Raises:
        JournalError: the steps are not those of this version's loop.
    """
    run, state = _paid(Run(settings, original), lost, 0), LoopState.PREPARING
    entries: list[Entry] = []
    for number, step in enumerate(steps, 1):
        entry = entry_of(step.data, run)
        if (entry.number, entry.state) != (number, state):
            raise JournalError(f"step {number} was taken in {entry.state}, not in {state}")
        run = advance(run, entry.outcome)
        target = target_of(state, entry.outcome.event, run)
        if number in retaken and target is not None:
            entry = replace(entry, target=target)
        elif target != entry.target or run.mark != step.mark:
            raise JournalError(
                f"step {number} went to {entry.target} by other rules than this version's — "
                "finish the run with the version that began it, or start a new one"
            )
        run, state = _paid(run, lost, number), entry.target
        entries.append(entry)
    return run, state, tuple(entries)


def _paid(run: Run, lost: Mapping[int, Usage], number: int) -> Run:
    return replace(run, usage=run.usage + lost[number]) if number in lost else run


def moments(history: History) -> Iterator[Moment]:
    """Yield what observers were told, in order. Pure."""
    run = _paid(Run(history.settings, history.beginning.original), history.lost, 0)
    for number, entry in enumerate(history.entries, 1):
        yield Entered(entry.state, run)
        run = _paid(advance(run, entry.outcome), history.lost, number)
        yield Leaving(entry.state, entry.outcome, entry.target, run)


def reopened(history: History, settings: Settings) -> History:
    """Return *history* as a new session finds it, which asks for *settings*. Pure.

    An interruption, and what it led to, is as if it had never been; what it cost is not.

    Raises:
        UsageError: there is nothing left to do.
    """
    keep = len(history.steps)
    if keep and isinstance(history.entries[keep - 1].outcome, Finished):
        keep -= 1
    confirmed = keep and isinstance(history.entries[keep - 1].outcome, Confirmed)
    if confirmed:
        keep -= 1
    if keep and isinstance(history.entries[keep - 1].outcome, Interrupted):
        keep -= 1
    retaken = history.retaken | {keep}
    steps = history.steps[:keep]
    run, state, entries = history.run, history.state, history.entries
    if keep < len(history.steps) or settings != history.settings:
        run, state, entries = fold(
            settings, history.beginning.original, steps, retaken=retaken, lost=history.lost
        )
    over = state is LoopState.FINISHING or (state is LoopState.CONFIRMING and confirmed)
    if history.done and over:
        raise UsageError(
            f"the run {history.folder} is finished ({history.run.ending}) — to go on all the "
            "same, allow more iterations: -i NUMBER"
        )
    found = replace(
        history,
        settings=settings,
        run=run,
        state=state,
        steps=steps,
        entries=entries,
        retaken=retaken,
    )
    more = _missing(history.run.usage, run.usage + found.owed)
    lost = {**history.lost, keep: history.lost.get(keep, Usage()) + more}
    return replace(found, run=replace(run, usage=run.usage + more), lost=lost)


def _missing(spent: Usage, known: Usage) -> Usage:
    """The requests that are in *spent* and not in what is *known* of them. Pure."""
    calls = max(0, spent.calls - known.calls)
    return Usage(calls=calls, retries=max(0, spent.requests - known.requests - calls))


def _beginning(found: Sequence[Record], path: Path) -> Beginning:
    if not found:
        raise BadRun(f"{path} is empty: the run ended before it began — start it again")
    first = found[0]
    written = first.data.get("format") if first.kind == BEGIN else None
    if written != FORMAT:
        version = first.data.get("version", "an unknown version")
        raise BadRun(
            f"{path}: the journal has format {written}, written by {version}; this version reads "
            f"format {FORMAT} — use the version that wrote it"
        )
    try:
        return restore(Beginning, first.data)
    except (TypeError, ValueError) as error:
        raise JournalError(f"{path}:1: the beginning makes no sense: {error}") from error
