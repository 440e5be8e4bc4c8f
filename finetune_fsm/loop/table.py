"""The loop as a table: read top to bottom, the first rule whose guard holds wins.

Every group of rules with the same source and event ends with an unguarded one, so the table is
total. The only way into SAVING from within the loop is guarded by `sound`: nothing that the gate
did not pass is ever saved or run. Guards look at the run as it will be when the outcome is
learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.loop.outcomes import (
    Analyzed,
    Checked,
    Confirmed,
    Finished,
    Interrupted,
    Modified,
    Prepared,
    Ran,
    Saved,
    Tested,
)
from finetune_fsm.loop.run import Run


class LoopState(StrEnum):
    """Where the loop stands."""

    PREPARING = "PREPARING"
    SAVING = "SAVING"
    RUNNING = "RUNNING"
    TESTING = "TESTING"
    ANALYZING = "ANALYZING"
    MODIFYING = "MODIFYING"
    CHECKING = "CHECKING"
    CONFIRMING = "CONFIRMING"
    FINISHING = "FINISHING"
    DONE = "DONE"


Guard = Callable[[Run], bool]


def over(run: Run) -> bool:
    """There is a reason to stop: iterations spent, solved, nothing left, interrupted."""
    return run.ending is not None


def sound(run: Run) -> bool:
    """The gate passed the drafts of this iteration: they are candidates now."""
    return bool(run.candidates)


def unfilled(run: Run) -> bool:
    """The iteration has room for one more draft, or this one may be repaired."""
    return run.attempt is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """On *event* in *source*, go to *target*, provided that *when* holds."""

    event: str
    source: LoopState
    target: LoopState
    when: Guard | None = None


_S = LoopState

RULES: tuple[Rule, ...] = (
    Rule(Prepared.event, _S.PREPARING, _S.SAVING),
    Rule(Saved.event, _S.SAVING, _S.RUNNING),
    Rule(Ran.event, _S.RUNNING, _S.TESTING),
    Rule(Tested.event, _S.TESTING, _S.CONFIRMING, over),
    Rule(Tested.event, _S.TESTING, _S.ANALYZING),
    Rule(Analyzed.event, _S.ANALYZING, _S.CONFIRMING, over),
    Rule(Analyzed.event, _S.ANALYZING, _S.MODIFYING),
    Rule(Modified.event, _S.MODIFYING, _S.CHECKING),
    Rule(Checked.event, _S.CHECKING, _S.SAVING, sound),
    Rule(Checked.event, _S.CHECKING, _S.CONFIRMING, over),
    Rule(Checked.event, _S.CHECKING, _S.MODIFYING, unfilled),
    Rule(Checked.event, _S.CHECKING, _S.ANALYZING),
    Rule(Confirmed.event, _S.CONFIRMING, _S.FINISHING),
    Rule(Finished.event, _S.FINISHING, _S.DONE),
    *(
        Rule(Interrupted.event, state, _S.FINISHING)
        for state in _S
        if state not in (_S.FINISHING, _S.DONE)
    ),
)


def target_of(state: LoopState, event: str, run: Run) -> LoopState | None:
    """Return where *event* leads from *state* when *run* is known, or None. Pure."""
    for rule in RULES:
        if (rule.source, rule.event) == (state, event) and (rule.when is None or rule.when(run)):
            return rule.target
    return None


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, interruptions left out. Pure."""
    lines = ["stateDiagram-v2", f"    [*] --> {_S.PREPARING}"]
    for rule in RULES:
        if rule.event != Interrupted.event:
            guard = f" [{rule.when.__name__}]" if rule.when else ""
            lines.append(f"    {rule.source} --> {rule.target}: {rule.event}{guard}")
    lines.append(f"    {_S.DONE} --> [*]")
    return "\n".join(lines) + "\n"
