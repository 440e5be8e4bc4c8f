"""The ways through a workflow that the policy compares: what is reached, and what never ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from finetune_fsm.workflow.graph import without_end
from finetune_fsm.workflow.model import END, State, Workflow


def fallback(workflow: Workflow, state: State) -> str | None:
    """Return the state that follows a failure of *state*, or None. Pure."""
    return state.on_error or workflow.on_error


def reached(
    workflow: Workflow,
    begin: Collection[str] = (),
    *,
    errors: bool = True,
    without: str = "",
) -> frozenset[str]:
    """Return the states that a run can visit, `END` among them when it can end. Pure.

    Args:
        workflow: Any valid one.
        begin: States to begin at instead of the first; names of no states are passed over.
        errors: Whether the ways that a failure takes count.
        without: A state through which no way leads.
    """
    found: set[str] = set()
    known = {*workflow.states, END} - {without}
    waiting = list(begin or (workflow.start_state,))
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        if name != END:
            state = workflow.states[name]
            waiting += state.targets
            if errors and (after := fallback(workflow, state)):
                waiting.append(after)
    return frozenset(found)


def endless(workflow: Workflow) -> frozenset[str]:
    """Return the states that a run can reach and never leave for the end. Pure.

    Those from which no way leads there, and those that are tried again for ever once they fail:
    a fallback that succeeds is forgiven (see the executor), and all its ways lead back.
    """
    return reached(workflow) & {*without_end(workflow), *_retried(workflow)}


def _retried(workflow: Workflow) -> Iterator[str]:
    for state in workflow.states.values():
        after = fallback(workflow, state)
        if after is None or after == state.name:  # that ends the run at the second failure
            continue
        if END not in reached(workflow, (after,), errors=False, without=state.name):
            yield state.name


def unasked(workflow: Workflow, questions: Collection[str]) -> frozenset[tuple[str, str]]:
    """Return which states that act can be reached without which of the *questions*. Pure.

    A state acts when it uses tools or runs another workflow. Where a person is asked on every way
    to it, an improvement must not lead round the question.
    """
    states = workflow.states.values()
    acting = {state.name for state in states if state.mcp_servers or state.workflow_ref}
    return frozenset(
        (name, question)
        for question in questions
        for name in acting & reached(workflow, without=question)
    )
