"""The gate: what must hold of a draft before it may be saved and run."""

from __future__ import annotations

from collections.abc import Collection

from finetune_fsm.codec import digest
from finetune_fsm.errors import Problem, errors_in
from finetune_fsm.improve.model import Draft
from finetune_fsm.improve.policy import violations
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow


def problems_with(
    draft: Draft,
    *,
    original: Workflow,
    best: Workflow,
    suite: Suite,
    tried: Collection[str],
) -> tuple[Problem, ...]:
    """Return all that keeps *draft* from being tried, causes first; empty when it is sound.

    In this order, and stopping at the first kind that finds something: JSON Schema and
    cross-references, the policy, findings that *best* did not have (warnings too: an unknown key
    or a placeholder that nothing sets), and whether the same workflow was tried before.

    Args:
        draft: What to check.
        original: The user's workflow; the policy compares with it.
        best: The draft's parent.
        suite: Tells what tests rely on and which words are theirs.
        tried: Digests of documents tried before, as `codec.digest` gives them.
    """
    checked = check_text(draft.text, folder=original.folder)
    if checked.workflow is None:
        return errors_in(checked.problems)
    refused = violations(original, checked.workflow, suite)
    if refused:
        return refused
    added = _new(checked.problems, check_text(best.text, folder=best.folder).problems)
    if added:
        return added
    if digest(checked.workflow.document) == digest(best.document):
        return (Problem("no_change", "the draft changes nothing"),)
    if digest(checked.workflow.document) in tried:
        return (Problem("tried_before", "the same workflow was tried before"),)
    return ()


def _new(found: tuple[Problem, ...], known: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The problems of *found* that *known* does not have, wherever they stand in the text."""
    before = {(p.code, p.path, p.message) for p in known}
    return tuple(p for p in found if (p.code, p.path, p.message) not in before)
