"""Drafts that a person writes; the gate holds for them as for any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from finetune_fsm.errors import InvalidDocument, Problem, UsageError
from finetune_fsm.improve.grants import Grants, parse_grants
from finetune_fsm.improve.model import Draft, Strategy
from finetune_fsm.improve.places import changes, texts_in
from finetune_fsm.improve.policy import trespasses
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.splice import differences
from finetune_fsm.workflow.text import parse
from finetune_fsm.workflow.validate import examined

WORDS = 20
"""Grants that are tried at most, to say which one a person's change would take."""

_KINDS: Mapping[str, str] = {
    "model": "model",
    "default_model": "model",
    "prompt_file": "file",
    "files": "file",
    "file": "file",
    "workflow_ref": "workflow",
    "mcp_servers": "tools",
}
"""What of ``--allow`` is about a field."""


def own_draft(text: str, best: Workflow, instead_of: Draft) -> Draft:
    """Return the draft that a person wrote as *text* when shown another one. Pure.

    Raises:
        InvalidDocument: *text* is no YAML, or has no states.
    """
    document = parse(text).document
    if not isinstance(document, dict) or "states" not in document:
        hint = "it needs 'states'"
        raise InvalidDocument((Problem("not_a_workflow", "the text is no workflow", hint),))
    why = instead_of.why if instead_of.attempt.strategy is Strategy.PERSON else ""
    return Draft(
        attempt=replace(instead_of.attempt, strategy=Strategy.PERSON),
        edits=tuple(differences(best.document, document, ())),
        text=text,
        why=why or f"edited by a person: {instead_of.why}",
        scenarios=instead_of.scenarios,
    )


def with_grants(
    problems: Sequence[Problem], draft: Draft, original: Workflow, suite: Suite, grants: Grants
) -> tuple[Problem, ...]:
    """Return *problems* of a person's *draft*, each with what of ``--allow`` would do away with it.

    Pure. A model is told to leave a place alone; a person may want to know the way.
    """
    return tuple(_with_grant(problem, draft, original, suite, grants) for problem in problems)


def _with_grant(
    problem: Problem, draft: Draft, original: Workflow, suite: Suite, grants: Grants
) -> Problem:
    if problem.code not in ("closed_place", "capability_gain"):
        return problem
    meant = (problem.code, problem.path, problem.message)
    workflow = examined(parse(draft.text).document, folder=None).workflow
    if workflow is None:
        return problem
    for word in islice(_words(original, workflow), WORDS):
        try:
            more = _and(grants, parse_grants((word,)))
        except UsageError:  # what cannot be granted to anybody
            continue
        left = {(p.code, p.path, p.message) for p in trespasses(original, workflow, suite, more)}
        if meant not in left:
            return replace(problem, hint=f"it takes --allow {one_line(word)}")
    return problem


def _words(original: Workflow, draft: Workflow) -> Iterator[str]:
    """What could be granted that has to do with what differs."""
    yield "structure"
    for change in changes(original.document, draft.document):
        kinds = {_KINDS[str(step)] for step in change.path if str(step) in _KINDS}
        for kind in sorted(kinds):
            yield from (f"{kind}:{text}" for text in texts_in(change.new) if text.strip())


def _and(some: Grants, more: Grants) -> Grants:
    return Grants(
        structure=some.structure or more.structure,
        models=(*some.models, *more.models),
        files=(*some.files, *more.files),
        workflows=(*some.workflows, *more.workflows),
        tools=(*some.tools, *more.tools),
    )
