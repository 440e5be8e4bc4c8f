"""Every change that a run made or was refused: its diff, its reason and its fate. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.errors import Problem
from finetune_fsm.improve.model import Draft
from finetune_fsm.reports.chronicle import Round, rounds_of
from finetune_fsm.reports.differences import differences, unified
from finetune_fsm.reports.measuring import Step
from finetune_fsm.sinks import clean


class Fate(StrEnum):
    """What became of a draft."""

    KEPT = "kept"
    LOST = "not kept"
    REFUSED = "refused"
    WAITING = "not tried"


@dataclass(frozen=True, slots=True)
class Modification:
    """One draft, or an answer that made none.

    Attributes:
        iteration: 1-based: that on whose trial it went, or would have gone.
        label: Such as ``3b``; empty for what never went on trial.
        fate: What became of it.
        strategy: How it was made.
        draft: None for an answer that made none; that was refused.
        parent: Text of the workflow that it changes.
        reason: Of the verdict, one sentence; empty without one.
        problems: All that the gate, or a person, said against it; empty unless it was refused.
    """

    iteration: int
    label: str
    fate: Fate
    strategy: str
    draft: Draft | None
    parent: str
    reason: str = ""
    problems: tuple[Problem, ...] = ()


def modifications(steps: Sequence[Step]) -> tuple[Modification, ...]:
    """Return all that *steps* tried to change: of each iteration the refused first. Pure."""
    return tuple(one for found in rounds_of(steps) for one in _of(found))


def _of(found: Round) -> Iterator[Modification]:
    for refusal in found.refusals:
        yield Modification(
            found.number,
            "",
            Fate.REFUSED,
            refusal.strategy,
            refusal.draft,
            refusal.parent,
            problems=refusal.problems,
        )
    for trial in found.trials:
        if trial.draft is not None:
            yield Modification(
                found.number,
                trial.label,
                Fate.KEPT if trial.record.accepted else Fate.LOST,
                trial.record.strategy,
                trial.draft,
                trial.parent,
                trial.record.reason,
            )
    for draft in found.waiting:
        how = draft.attempt.strategy.value
        yield Modification(found.number, "", Fate.WAITING, how, draft, found.best)


def diff_of(old: str, new: str) -> str:
    """Return how *new* differs from *old* as a unified diff, secrets hidden. Pure.

    They are hidden first, then compared: a piece of a secret is no secret that a sink would know.
    """
    lines = differences(*(clean(text, limit=max(1, len(text))) for text in (old, new)))
    return "".join(f"{line}\n" for line in unified(lines))


def shape(one: Modification) -> Mapping[str, object]:
    """Return *one* as plain data. Pure."""
    draft = one.draft
    return {
        "iteration": one.iteration,
        "label": one.label,
        "fate": str(one.fate),
        "strategy": one.strategy,
        "reason": one.reason,
        "why": draft.why if draft else "",
        "scenarios": list(draft.scenarios) if draft else [],
        "edits": [
            {"op": e.op, "path": list(e.path), "value": e.value, "why": e.why} for e in draft.edits
        ]
        if draft
        else [],
        "diff": diff_of(one.parent, draft.text) if draft else "",
        "problems": [{"code": p.code, "message": p.message, "hint": p.hint} for p in one.problems],
    }
