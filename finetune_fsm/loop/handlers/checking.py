"""CHECKING: only a valid, allowed and new draft goes on."""

from __future__ import annotations

from finetune_fsm.errors import Problem
from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.grants import parse_grants
from finetune_fsm.improve.model import Draft
from finetune_fsm.improve.risk import is_risky
from finetune_fsm.loop.outcomes import Checked
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Approval
from finetune_fsm.loop.toolbox import Decision, Toolbox
from finetune_fsm.loop.workflows import best_of, original_of


def handle(run: Run, tools: Toolbox) -> Checked:
    """Return all that stands against the draft: the gate's findings, or a person's."""
    if run.draft is None:
        return Checked(run.problems)
    found = objections(run, run.draft)
    if found or not _is_asked(run, run.draft):
        return Checked(found)
    said = tools.approve(run, run.draft)
    decision = said if isinstance(said, Decision) else Decision(said)
    if decision.draft is not None:  # whoever made it, nothing goes round the gate
        return judged(run, decision.draft, rest=decision.rest)
    return Checked(decision.problems, rest=decision.rest)


def judged(run: Run, own: Draft, *, rest: bool = False) -> Checked:
    """Return what the gate says of a person's *own* draft, which takes the present one's place."""
    return Checked(objections(run, own), own, rest)


def objections(run: Run, draft: Draft) -> tuple[Problem, ...]:
    """Return all that the gate has against *draft* now."""
    assert run.suite is not None  # noqa: S101  # the table comes here only with a suite
    return problems_with(
        draft,
        original=original_of(run),
        best=best_of(run),
        suite=run.suite,
        tried=run.digests,
        grants=parse_grants(run.settings.allow),
    )


def _is_asked(run: Run, draft: Draft) -> bool:
    match run.settings.approval:
        case Approval.NEVER:
            return False
        case Approval.RISKY:
            return not run.trusting and is_risky(draft.edits)
    return not run.trusting
