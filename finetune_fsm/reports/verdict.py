"""What a run came to, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.loop.machine import Entry
from finetune_fsm.loop.outcomes import Confirmed
from finetune_fsm.loop.run import Run
from finetune_fsm.reports.text_report import duration


class Turn(StrEnum):
    """How a run turned out so far."""

    BETTER = "better"
    SAME = "same"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class VerdictOnRun:
    """What a run came to.

    Attributes:
        turn: In a word.
        sentence: For people, with a full stop; what it quotes is foreign.
    """

    turn: Turn
    sentence: str


def verdict_on(run: Run, entries: Sequence[Entry], seconds: float) -> VerdictOnRun:
    """Return what *run*, which took *seconds* and *entries*, came to. Pure."""
    spent = f"{run.usage.calls:,} LLM calls, {run.usage.tokens:,} tokens, {duration(seconds)}"
    if run.best is None or run.first is None:
        return VerdictOnRun(Turn.NOTHING, f"Nothing is judged yet; {spent}.")
    first, best = run.first.report, run.best.report
    over = f"{'' if run.ending else 'so far '}after {spent}"
    if run.best.iteration == run.first.iteration:
        share = f"{first.passed} of {first.total} scenarios pass"
        if confirmation := _confirmation(run, entries):
            return VerdictOnRun(
                Turn.SAME, f"The workflow stays as it was, {share}; {confirmation}; {over}."
            )
        return VerdictOnRun(Turn.SAME, f"The workflow stays as it was, {share}, {over}.")
    change = (
        f"From {first.passed} of {first.total} scenarios passed to {best.passed} of {best.total}"
    )
    unsaid = "not confirmed by further draws" if run.ending else "not confirmed yet"
    confirmation = _confirmation(run, entries) or unsaid
    return VerdictOnRun(Turn.BETTER, f"{change}, {over}; {confirmation}.")


def _confirmation(run: Run, entries: Sequence[Entry]) -> str:
    """Whether further draws said the same; empty when there was nothing to ask them, or no end."""
    found = [entry.outcome for entry in entries if isinstance(entry.outcome, Confirmed)]
    if not found or not run.confirmed:
        return ""
    word = "confirmed" if found[-1].held else "not confirmed"
    return f"{word}: {run.confirmed}"
