"""The workflows that a run took for the best, one after the other, and the way back to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import InvalidDocument, UsageError
from finetune_fsm.loop.machine import Leaving
from finetune_fsm.loop.outcomes import Tested
from finetune_fsm.loop.settings import Settings
from finetune_fsm.runs.history import History, beginning_of, load, moments
from finetune_fsm.runs.keeper import alone
from finetune_fsm.storage.files import write_text
from finetune_fsm.workflow.relocate import relocated
from finetune_fsm.workflow.text import TESTS, read_file


@dataclass(frozen=True, slots=True)
class Version:
    """A workflow that was the best for a while.

    Attributes:
        iteration: In which it was accepted; 1 is the user's own.
        text: As the output file has it, its relative paths kept pointing where they did.
        passed: Scenarios that it passed then.
        total: Scenarios that it ran on.
    """

    iteration: int
    text: str
    passed: int
    total: int


@dataclass(frozen=True, slots=True)
class Swap:
    """What stands in the output file now, and what stood there before."""

    output: Path
    before: Version
    after: Version


def versions(history: History) -> tuple[Version, ...]:
    """Return the workflows that were accepted, oldest first. Pure."""
    found: list[Version] = []
    for moment in moments(history):
        if not isinstance(moment, Leaving) or not isinstance(moment.outcome, Tested):
            continue
        best = moment.run.best
        if best is not None and best.iteration == moment.run.history[-1].iteration:
            text = as_written(best.candidate.text, history.settings)
            found.append(Version(best.iteration, text, best.report.passed, best.report.total))
    return tuple(found)


def as_written(text: str, settings: Settings) -> str:
    """Return the workflow *text* as FINISHING writes it to the output."""
    source, output = settings.workflow.resolve().parent, settings.output.resolve().parent
    return relocated(text, source, output)


def swapped(folder: Path, *, back: bool) -> Swap:
    """Put the version before (*back*) or after the present one into the output of the run.

    Which one is there now, the file itself says: nothing is remembered elsewhere, and what a
    person wrote into it since is never overwritten.

    Raises:
        UsageError: there is no such version, or the file holds none of them.
        Busy: a run is under way that writes there.
        BadRun: the journal cannot be trusted.
        StorageError: the file cannot be written.
    """
    with alone(folder.parent, beginning_of(folder).settings):
        history = load(folder)
        output, there = history.settings.output, versions(history)
        present = _present(output, there)
        wanted = present - 1 if back else present + 1
        if not 0 <= wanted < len(there):
            which = "first" if back else "last"
            raise UsageError(
                f"{output} is the {which} of {len(there)} accepted versions: there is none "
                f"{'before' if back else 'after'} it"
            )
        write_text(output, there[wanted].text)
        return Swap(output, there[present], there[wanted])


def _present(output: Path, there: tuple[Version, ...]) -> int:
    """Which version the output file holds."""
    try:
        text = read_file(output, limit=TESTS.size)
    except InvalidDocument as error:
        raise UsageError(
            f"{error} — the run has not written its result: 'agentmech resume' goes on with it"
        ) from error
    for number in reversed(range(len(there))):
        if there[number].text == text:
            return number
    raise UsageError(
        f"{output} holds none of the {len(there)} versions of this run: somebody changed it since, "
        "or another run wrote it — move it away, or name that run"
    )
