"""The graph of a workflow: what can be reached, what leads to the end, and its picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from finetune_fsm.workflow.model import END, State, StateKind, Workflow


def successors(workflow: Workflow, state: State) -> tuple[str, ...]:
    """Return what may follow *state*, its fallback last, each once. Pure."""
    fallback = state.on_error or workflow.on_error
    return tuple(dict.fromkeys((*state.targets, *((fallback,) if fallback else ()))))


def predecessors(workflow: Workflow, name: str) -> Iterator[str]:
    """Yield the states that *name* may follow without an error, in document order. Pure."""
    return (s.name for s in workflow.states.values() if name in s.targets)


def available(workflow: Workflow, name: str) -> frozenset[str]:
    """Return the variables that may be set when the state *name* begins. Pure.

    Those of the workflow, and those that a state saves from which a way leads to *name*; a state
    on a circle may read what it saved itself.
    """
    sources: dict[str, list[str]] = {}
    for state in workflow.states.values():
        for target in successors(workflow, state):
            sources.setdefault(target, []).append(state.name)
    before = _closure(sources.get(name, ()), lambda found: sources.get(found, ()))
    saved = (state.save_as for state in workflow.states.values() if state.name in before)
    return frozenset(variable for variable in saved if variable) | set(workflow.variables)


def unreachable(workflow: Workflow) -> Iterator[str]:
    """Yield the states that no run from the start can visit, in document order. Pure."""
    states = workflow.states
    reached = _closure(
        (workflow.start_state,),
        lambda name: successors(workflow, states[name]) if name in states else (),
    )
    return (name for name in states if name not in reached)


def without_end(workflow: Workflow) -> Iterator[str]:
    """Yield the states from which only an error leads out, in document order. Pure."""
    sources: dict[str, list[str]] = {}
    for state in workflow.states.values():
        for target in state.targets:
            sources.setdefault(target, []).append(state.name)
    ending = _closure((END,), lambda name: sources.get(name, ()))
    return (name for name in workflow.states if name not in ending)


def _closure(start: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    found = set(start)
    waiting = deque(found)
    while waiting:
        fresh = set(following(waiting.popleft())) - found
        found |= fresh
        waiting.extend(fresh)
    return found


_SHAPES = {
    StateKind.PROMPT: ('["', '"]'),
    StateKind.INPUT: ('[/"', '"/]'),
    StateKind.WORKFLOW_REF: ('[["', '"]]'),
    StateKind.TRANSITION: ('(["', '"])'),
}


def mermaid(workflow: Workflow, *paths: Sequence[str]) -> str:
    """Return *workflow* as a Mermaid flow chart, with the *paths* through it coloured. Pure.

    Names in *paths* that are no states, such as a child workflow's, are passed over.
    """
    keys = {name: f"s{index}" for index, name in enumerate(workflow.states)} | {END: "stop"}
    lines = ["flowchart TD", f"    start((start)) --> {keys[workflow.start_state]}"]
    for state in workflow.states.values():
        opening, closing = _SHAPES[state.kind]
        lines.append(f"    {keys[state.name]}{opening}{_label(state.name)}{closing}")
    lines.append("    stop((end))")
    known = [[name for name in path if name in keys] for path in paths]
    walked = {pair for path in known for pair in pairwise(path)}
    coloured = []
    count = 1  # Mermaid numbers edges in order; 0 is the one from the start
    for state in workflow.states.values():
        for target, arrow in _edges(workflow, state):
            lines.append(f"    {keys[state.name]} {arrow} {keys[target]}")
            if (state.name, target) in walked:
                coloured.append(str(count))
            count += 1
    seen = [keys[name] for name in dict.fromkeys(name for path in known for name in path)]
    if seen:
        lines.append("    classDef visited fill:#d5f5d5,stroke:#2a7a2a,color:#000")
        lines.append(f"    class {','.join(seen)} visited")
    if coloured:
        lines.append(f"    linkStyle {','.join(coloured)} stroke:#2a7a2a,stroke-width:3px")
    return "\n".join(lines) + "\n"


def _edges(workflow: Workflow, state: State) -> Iterator[tuple[str, str]]:
    if state.next_options:
        for option in state.next_options:
            yield option.state, f'-->|"{_label(option.description, limit=40)}"|'
    else:
        yield state.next or END, "-->"
    fallback = state.on_error or workflow.on_error
    if fallback and fallback != state.name:
        yield fallback, '-.->|"on error"|'


def _label(text: str, *, limit: int = 60) -> str:
    """Return *text* so that Mermaid shows it and runs none of it: entities for all but words."""
    shown = " ".join(text.split())
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    safe = (c if c.isalnum() or c in " _-.,…" else f"#{ord(c)};" for c in shown if c.isprintable())
    return "".join(safe)
