"""The gate: what must hold of a draft before it may be saved and run."""

from __future__ import annotations

from collections.abc import Collection

from finetune_fsm.codec import digest
from finetune_fsm.errors import InvalidDocument, Path, Problem, errors_in
from finetune_fsm.improve.grants import NOTHING, Grants
from finetune_fsm.improve.model import Draft
from finetune_fsm.improve.policy import trespasses, violations
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import MODEL, PERSON, Limits, located, parse
from finetune_fsm.workflow.validate import examined


def problems_with(
    draft: Draft,
    *,
    original: Workflow,
    best: Workflow,
    suite: Suite,
    tried: Collection[str],
    grants: Grants = NOTHING,
) -> tuple[Problem, ...]:
    """Return all that keeps *draft* from being tried, causes first; empty when it is sound.

    In this order, and stopping at the first kind that finds something: JSON Schema and
    cross-references, the policy, findings that *best* did not have (warnings too: an unknown key
    or a placeholder that nothing sets), and whether the same workflow was tried before. No file
    is opened that the draft may not name.

    Args:
        draft: What to check.
        original: The user's workflow; the policy compares with it.
        best: The draft's parent.
        suite: Tells what tests rely on and which words are theirs.
        tried: Digests of documents tried before, as `codec.digest` gives them.
        grants: What the user allows beyond the policy.
    """
    limits = _limits(original)
    refused = _unopened(draft, original, suite, grants, limits)
    if refused:
        return refused
    checked = check_text(draft.text, folder=original.folder, limits=limits)
    if checked.workflow is None:
        return errors_in(checked.problems)
    refused = violations(original, checked.workflow, suite, grants)
    if refused:
        return refused
    seen = _looked_at(checked.workflow, suite)
    added = tuple(p for p in _new(checked.problems, best) if (p.code, p.path) not in seen)
    if added:
        return added
    found = digest(checked.workflow.document)
    if found == digest(best.document):
        return (Problem("no_change", "the draft changes nothing"),)
    if found in tried:
        return (Problem("tried_before", "the same workflow was tried before"),)
    return ()


def _unopened(
    draft: Draft, original: Workflow, suite: Suite, grants: Grants, limits: Limits
) -> tuple[Problem, ...]:
    """What is wrong with *draft* before any file is looked at.

    A complaint about a file tells something of what is in it, and complaints go to a model.
    """
    try:
        parsed = parse(draft.text, limits=limits)
    except InvalidDocument as error:
        return error.problems
    found = examined(parsed.document, folder=None)
    if found.workflow is None:
        return located(errors_in(found.problems), parsed)
    return located(trespasses(original, found.workflow, suite, grants), parsed)


def _limits(original: Workflow) -> Limits:
    """The narrower limits of a model's text, unless the user's own exceeds them."""
    try:
        parse(original.text, limits=MODEL)
    except InvalidDocument:
        return PERSON
    return MODEL


def _new(found: tuple[Problem, ...], best: Workflow) -> tuple[Problem, ...]:
    """The problems of *found* that *best* does not have, wherever they stand in the text."""
    known = check_text(best.text, folder=best.folder).problems if found else ()
    before = {(p.code, p.path, p.message) for p in known}
    return tuple(p for p in found if (p.code, p.path, p.message) not in before)


def _looked_at(workflow: Workflow, suite: Suite) -> frozenset[tuple[str, Path]]:
    """The doubts that are none: what no prompt uses, but a test looks at, is a result."""
    targets = {a.target for scenario in suite.scenarios for a in scenario.assertions}
    return frozenset(
        ("unused_save", (*state.origin, "save_as"))
        for state in workflow.states.values()
        if state.save_as in targets
    )
