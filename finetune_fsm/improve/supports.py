"""What the tests rely on in a workflow: a draft that takes it away would test less, not do more."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_fsm.errors import Problem
from finetune_fsm.improve.ways import reached
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import State, StateKind, Workflow

_CODE = "lost_support"


def lost_supports(original: Workflow, draft: Workflow, suite: Suite) -> Iterator[Problem]:
    """Yield what *suite* relies on, *original* has and *draft* does not. Pure."""
    checks = [assertion for scenario in suite.scenarios for assertion in scenario.assertions]
    answered = dict.fromkeys(name for scenario in suite.scenarios for name in scenario.inputs)
    sought = dict.fromkeys(name for check in checks for name in check.states)
    for name in answered | sought:
        for state in _states_behind(original, name):
            yield from _lost_state(original, draft, state)
    for name in answered:
        if _saves(original, name) and name in draft.states and not _saves(draft, name):
            message = f"the tests answer '{one_line(name)}', and nothing keeps the answer"
            yield Problem(_CODE, message, "keep its save_as", draft.states[name].origin)
    for target in dict.fromkeys(assertion.target for assertion in checks):
        yield from _lost_variable(original, draft, target)


def _states_behind(original: Workflow, name: str) -> tuple[State, ...]:
    """The state called *name*, or those in whose child workflow it would be, ``S_ref_name``."""
    if name in original.states:
        return (original.states[name],)
    callers = (state for state in original.states.values() if state.workflow_ref)
    return tuple(state for state in callers if name.startswith(f"{state.name}_ref_"))


def _lost_state(original: Workflow, draft: Workflow, state: State) -> Iterator[Problem]:
    shown, path = one_line(state.name), state.origin
    now = draft.states.get(state.name)
    if now is None:  # it cannot be of another kind: that place is closed
        yield Problem(_CODE, f"the tests rely on the state '{shown}', which is gone", path=path)
    elif now.workflow_ref != state.workflow_ref:
        message = f"the tests rely on the workflow that '{shown}' runs, which is another"
        yield Problem(_CODE, message, path=path)
    elif _usually(original, state) and not _usually(draft, now):
        message = f"the tests rely on the state '{shown}', to which only an error would lead"
        yield Problem(_CODE, message, "keep a way to it", path)


def _usually(workflow: Workflow, state: State) -> bool:
    """Whether a run can visit *state* without a failure."""
    return state.name in reached(workflow, errors=False)


def _saves(workflow: Workflow, name: str) -> bool:
    return name in workflow.states and workflow.states[name].save_as is not None


def _lost_variable(original: Workflow, draft: Workflow, target: str) -> Iterator[Problem]:
    before, after = _savers(original, target), _savers(draft, target)
    shown = one_line(target)
    if before and not after:
        yield Problem(_CODE, f"the tests look at '{shown}', which nothing saves any more")
    free = not before and target not in original.variables and _is_closed(original)
    if free or any(state.kind is StateKind.INPUT for state in before):
        return
    for state in after:
        if state.kind is StateKind.INPUT:
            message = f"the tests look at '{shown}', and '{one_line(state.name)}' would fill it in"
            hint = "what a test types in is no result: save it under another name"
            yield Problem(_CODE, message, hint, state.origin)


def _savers(workflow: Workflow, name: str) -> tuple[State, ...]:
    """The states that save *name* and that a run can visit without a failure."""
    usual = reached(workflow, errors=False)
    return tuple(s for s in workflow.states.values() if s.save_as == name and s.name in usual)


def _is_closed(workflow: Workflow) -> bool:
    """Whether every variable comes from this file: no child workflow can set one."""
    return not any(state.workflow_ref for state in workflow.states.values())
