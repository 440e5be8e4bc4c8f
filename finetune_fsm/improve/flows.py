"""What may stand in a path that placeholders help to build, and where it came from.

``files: ["{{page}}.txt"]`` reads whatever `page` holds. If a person is asked for it, a draft that
lets a model's reply be saved as `page`, or a default say another page, has gained a capability
though no path was touched. So for every such placeholder the sources that can reach it are
computed for the original and for the draft, as definitions reach a use in a compiler (Aho, Sethi
and Ullman 1986, section 10.5), and the draft's must be among the original's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath

from finetune_fsm.errors import Problem
from finetune_fsm.improve.grants import Grants
from finetune_fsm.improve.ways import fallback, reached
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.load import check_file
from finetune_fsm.workflow.model import (
    ERROR_VARIABLES,
    PLACEHOLDER,
    State,
    StateKind,
    Workflow,
)

Source = tuple[str, str]
"""A kind and what it is about, such as ``("reply", "sort")``."""

Flow = tuple[str, str, str, Source]
"""What is opened (``file`` or ``workflow``), its path, the placeholder, where its text is from."""

_WORDS = {
    "reply": "the reply of '{}'",
    "answer": "the answer to '{}'",
    "default": "the default '{}'",
    "start": "what it is at the start, {}",
    "child": "the workflow '{}'",
    "error": "an error's text",
}


def path_flows(workflow: Workflow) -> frozenset[Flow]:
    """Return what can stand in each path of *workflow* and of its children; reads these."""
    graph = _Graph(workflow)
    return frozenset(
        (kind, path, name, source)
        for state in workflow.states.values()
        for kind, path, name in graph.sinks(state)
        for source in graph.sources(state.name, name)
    )


def new_flows(original: Workflow, draft: Workflow, grants: Grants) -> Iterator[Problem]:
    """Yield what could stand in a path of *draft* and not in the same one of *original*."""
    for kind, path, name, source in sorted(path_flows(draft) - path_flows(original)):
        if path in grants.workflows:
            continue
        what = _WORDS[source[0]].format(one_line(source[1]))
        message = f"{{{{{name}}}}} in the path of the {kind} '{one_line(path)}' could become {what}"
        yield Problem("path_flow", message, "keep what a path is built from as it is")


def set_by_children(workflow: Workflow) -> frozenset[str]:
    """Return the variables that the children of *workflow* may bring back; reads these."""
    return frozenset().union(*(child.sets for child in _Graph(workflow).children.values()))


@dataclass(frozen=True, slots=True)
class _Child:
    """What a child workflow does with its caller's variables.

    Attributes:
        opens: Names that may end up in one of its paths.
        sets: Names that it may bring back.
    """

    opens: frozenset[str]
    sets: frozenset[str]


@dataclass(frozen=True)  # without slots: computed properties are kept in the instance
class _Graph:
    """A workflow with what the walks through it need, each computed once."""

    workflow: Workflow

    @cached_property
    def reached(self) -> frozenset[str]:
        return reached(self.workflow)

    @cached_property
    def children(self) -> Mapping[str, _Child]:
        """What each child does, by its path as written."""
        states = self.workflow.states.values()
        refs = dict.fromkeys(state.workflow_ref for state in states if state.workflow_ref)
        return {ref: _child(self.workflow.folder / ref) for ref in refs}

    @cached_property
    def ways_in(self) -> Mapping[str, tuple[tuple[State, bool], ...]]:
        """The states before each state, and whether only a failure leads on from them."""
        found: dict[str, list[tuple[State, bool]]] = {}
        for state in self.workflow.states.values():
            if state.name in self.reached:
                for target in dict.fromkeys(state.targets):
                    found.setdefault(target, []).append((state, False))
                if after := fallback(self.workflow, state):
                    found.setdefault(after, []).append((state, True))
        return {name: tuple(before) for name, before in found.items()}

    def sinks(self, state: State) -> Iterator[tuple[str, str, str]]:
        """Where *state* opens something whose path holds a placeholder: kind, path, name."""
        for path in state.files:
            for name in PLACEHOLDER.findall(path):
                yield "file", path, name
        if state.workflow_ref:
            for name in self.children[state.workflow_ref].opens:
                yield "workflow", state.workflow_ref, name

    def sources(self, place: str, name: str) -> frozenset[Source]:
        """Return where the text of the variable *name* can be from as the state *place* begins."""
        found: set[Source] = set()
        waiting = [(place, name)]
        seen = set(waiting)
        while waiting:
            here, wanted = waiting.pop()
            if here == self.workflow.start_state:
                found.add(("start", repr(self.workflow.variables.get(wanted))))
            for state, failed in self.ways_in.get(here, ()):
                ends, sources, inserted = self._passed(state, wanted, failed=failed)
                found |= sources
                further = {(state.name, other) for other in inserted}
                further |= set() if ends else {(state.name, wanted)}
                waiting += further - seen
                seen |= further
        return frozenset(found)

    def _passed(
        self, state: State, name: str, *, failed: bool
    ) -> tuple[bool, set[Source], frozenset[str]]:
        """What *state* does to the variable *name* on one way out of it.

        Returns:
            Whether it always sets *name* there, from what if it does, and which other variables
            flow into it.
        """
        none: frozenset[str] = frozenset()
        if failed and name in ERROR_VARIABLES:
            return True, {("error", "")}, none
        if state.workflow_ref and not failed and name in self.children[state.workflow_ref].sets:
            return False, {("child", state.workflow_ref)}, none
        if state.save_as != name or (failed and not state.next_options):
            return False, set(), none
        if state.kind is StateKind.PROMPT:  # choosing the way may fail after the reply is saved
            return not failed, {("reply", state.name)}, none
        sources = {("answer", state.name)}
        if state.default_value is not None:
            sources.add(("default", state.default_value))
        return True, sources, frozenset(PLACEHOLDER.findall(state.default_value or ""))


def _child(path: FilePath) -> _Child:
    """Return what the workflow in the file at *path* does, with all that it refers to itself."""
    states = [state for workflow in _family(path) for state in workflow.states.values()]
    opens = {name for state in states for file in state.files for name in PLACEHOLDER.findall(file)}
    defaults = [(s.save_as, PLACEHOLDER.findall(s.default_value or "")) for s in states]
    for _ in defaults:  # a default may hand on what another one handed to it
        opens |= {name for saved, inserted in defaults if saved in opens for name in inserted}
    sets = {name for w in _family(path) for name in (*w.saved_variables, *w.variables)}
    return _Child(frozenset(opens), frozenset({*sets, *ERROR_VARIABLES}))


def _family(path: FilePath) -> tuple[Workflow, ...]:
    """The workflow in the file at *path* and its children, each file once; invalid ones left out.

    Validation names those: here they only have no states.
    """
    found: dict[str, Workflow | None] = {}
    waiting = [path]
    while waiting:
        place = waiting.pop()
        key = os.path.realpath(place)
        if key not in found:
            workflow = found[key] = check_file(place).workflow
            states = workflow.states.values() if workflow else ()
            waiting += (place.parent / s.workflow_ref for s in states if s.workflow_ref)
    return tuple(workflow for workflow in found.values() if workflow)
