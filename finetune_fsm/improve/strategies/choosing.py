"""One of the small changes that are possible: a model need only point at it.

Small models name places badly and choose from a list well. Everything on the list is made of
states and variables that exist, and changes something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finetune_fsm.errors import Problem
from finetune_fsm.improve.strategies.brief import Brief, Form, Reading
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import BUILT_IN_VARIABLES, END, State, StateKind

CHOICES = 20
"""Changes on the list; states that failing runs went through come first."""

Change = tuple[str, tuple[Edit, ...]]
"""A change in words, and its edits."""


def possible(brief: Brief) -> tuple[Change, ...]:
    """Return the small changes of way and memory that the workflow allows. Pure."""
    visited = [n for r in brief.failing for n in r.rollout.visited]
    order = list(dict.fromkeys((*visited, *brief.workflow.states)))
    states = [brief.workflow.states[name] for name in order if name in brief.workflow.states]
    found: dict[tuple[Edit, ...], str] = {}
    for state in states:
        for words, edits in (*_memory(brief, state), *_ways(brief, state)):
            found.setdefault(edits, words)
    if brief.structure:
        for words, edits in _starts(brief):
            found.setdefault(edits, words)
    return tuple((words, edits) for edits, words in found.items())[:CHOICES]


def _memory(brief: Brief, state: State) -> Iterator[Change]:
    """What a state keeps, and what it takes when nobody answers."""
    name = one_line(state.name)
    if state.kind in (StateKind.PROMPT, StateKind.INPUT):
        for variable in _missing(brief):
            if variable != state.save_as:
                words = f"keep the answer of '{name}' as {{{{{variable}}}}}"
                yield words, (Edit(EditOp.SET, (*state.origin, "save_as"), variable),)
    if state.default_value is not None:
        words = f"give '{name}' no default answer"
        yield words, (Edit(EditOp.REMOVE, (*state.origin, "default_value")),)


def _missing(brief: Brief) -> list[str]:
    """Variables that are read or tested, and nothing sets."""
    workflow = brief.workflow
    read = {name for state in workflow.states.values() for name in state.reads}
    tested = {f.assertion.target for r in brief.failing for f in r.failures if f.assertion.target}
    known = workflow.saved_variables | set(workflow.variables) | BUILT_IN_VARIABLES
    return sorted((read | tested) - known)


def _ways(brief: Brief, state: State) -> Iterator[Change]:
    """Where a state goes on."""
    name, names = one_line(state.name), (*brief.workflow.file_states, END)
    if state.owner != state.name:
        return  # the order of steps is not a way
    for index, option in enumerate(state.next_options):
        path = (*state.origin, "next_options", index, "state")
        for target in names:
            if target not in (state.owner, *(o.state for o in state.next_options)):
                words = f"let '{one_line(option.description)}' lead from '{name}' to '{target}'"
                yield words, (Edit(EditOp.SET, path, target),)
    if not state.next_options:
        for target in names:
            if target not in (state.owner, state.next or END):
                words = f"let '{one_line(target)}' follow '{name}'"
                yield words, (Edit(EditOp.SET, (*state.origin, "next"), target),)


def _starts(brief: Brief) -> Iterator[Change]:
    for name in brief.workflow.file_states:
        if name != brief.workflow.start_state:
            yield f"begin with '{one_line(name)}'", (Edit(EditOp.SET, ("start_state",), name),)


def _values(brief: Brief) -> Mapping[str, str]:
    steps = brief.workflow.states.values()
    listed = enumerate(possible(brief), start=1)
    return {
        "steps": "\n".join(f"- {s.name} -> {', '.join(s.targets)}" for s in steps),
        "changes": "\n".join(f"{number}. {words}" for number, (words, _) in listed),
    }


def _answer(brief: Brief) -> Mapping[str, object]:
    return {"change": {"enum": list(range(1, len(possible(brief)) + 1))}}


def _read(data: Mapping[str, object], brief: Brief, why: str) -> Reading:
    number, changes = data.get("change"), possible(brief)
    if type(number) is not int or not 1 <= number <= len(changes):
        return Problem("bad_reply", f"'change' must be a number from 1 to {len(changes)}")
    words, edits = changes[number - 1]
    return tuple(Edit(edit.op, edit.path, edit.value, why or words) for edit in edits)


CHOICE = Form(_values, _answer, _read)
