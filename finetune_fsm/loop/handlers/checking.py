"""CHECKING: only a valid, allowed and new draft goes on."""

from __future__ import annotations

from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.grants import parse_grants
from finetune_fsm.loop.outcomes import Checked
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import best_of, original_of


def handle(run: Run, tools: Toolbox) -> Checked:
    """Return all that stands against the draft: the gate's findings, or a person's."""
    if run.draft is None:
        return Checked(run.problems)
    assert run.suite is not None  # noqa: S101  # the table comes here only with a suite
    found = problems_with(
        run.draft,
        original=original_of(run),
        best=best_of(run),
        suite=run.suite,
        tried=run.digests,
        grants=parse_grants(run.settings.allow),
    )
    return Checked(found or tools.approve(run, run.draft))
