"""Workflows, and the loop that improves them, as drawings with the ways that were taken. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from finetune_fsm.loop.machine import Entry
from finetune_fsm.loop.outcomes import Interrupted
from finetune_fsm.loop.table import RULES, LoopState
from finetune_fsm.reports.html.graph import Drawing, Node, Shape, Way
from finetune_fsm.workflow.model import END, State, StateKind, Workflow

_SHAPES = {
    StateKind.PROMPT: Shape.BOX,
    StateKind.INPUT: Shape.SLANTED,
    StateKind.WORKFLOW_REF: Shape.DOUBLE,
    StateKind.TRANSITION: Shape.ROUND,
}

_NOTES = {
    StateKind.PROMPT: "prompt",
    StateKind.INPUT: "input",
    StateKind.WORKFLOW_REF: "workflow",
    StateKind.TRANSITION: "transition",
}

_START = "\x00start"  # no state can be called so


def of_workflow(workflow: Workflow, paths: Sequence[Sequence[str]] = ()) -> Drawing:
    """Return *workflow* with the *paths* that rollouts took through it.

    Args:
        workflow: Valid.
        paths: Names of states in the order of their visits, for each rollout; those that are no
            states, such as a child workflow's, are passed over.
    """
    known = {*workflow.states, END}
    walks = [[name for name in path if name in known] for path in paths]
    visits = Counter(name for walk in walks for name in walk)
    times = Counter(pair for walk in walks for pair in pairwise((_START, *walk)))
    counted = bool(walks)
    nodes = [Node(_START, "start", Shape.START)]
    ways = [_way(_START, workflow.start_state, times, counted=counted)]
    for state in workflow.states.values():
        seen = visits[state.name] if counted else None
        nodes.append(Node(state.name, state.name, _SHAPES[state.kind], _NOTES[state.kind], seen))
        ways += _leaving(workflow, state, times, counted=counted)
    if any(END in (way.source, way.target) for way in ways):
        nodes.append(Node(END, END, Shape.END, visits=visits[END] if counted else None))
    return Drawing(workflow.name, tuple(nodes), tuple(ways))


def _leaving(
    workflow: Workflow, state: State, times: Mapping[tuple[str, str], int], *, counted: bool
) -> list[Way]:
    """The ways out of *state*, one for each target; its fallback is apart only if it is another."""
    labels: dict[str, list[str]] = {target: [] for target in state.targets}
    for option in state.next_options:
        labels[option.state].append(option.description)
    found = [
        _way(state.name, target, times, counted=counted, label=" / ".join(told))
        for target, told in labels.items()
    ]
    fallback = state.on_error or workflow.on_error
    if fallback and fallback != state.name and fallback not in labels:
        found.append(_way(state.name, fallback, times, counted=counted, error=True))
    return found


def _way(
    source: str,
    target: str,
    times: Mapping[tuple[str, str], int],
    *,
    counted: bool,
    label: str = "",
    error: bool = False,
) -> Way:
    gone = times.get((source, target), 0) if counted else None
    return Way(source, target, label, error, gone)


def of_loop(entries: Iterable[Entry] = ()) -> Drawing:
    """Return the loop's table, interruptions only where there was one, with a run's way.

    Args:
        entries: The run's steps; none for the table alone.
    """
    steps = [(entry.state, entry.outcome.event, entry.target) for entry in entries]
    times, counted = Counter(steps), bool(steps)
    visits = Counter(state for state, _, _ in steps)
    visits.update(target for _, _, target in steps[-1:])
    nodes = [
        Node(state, state, Shape.END if state is LoopState.DONE else Shape.BOX,
             visits=visits[state] if counted else None)
        for state in LoopState
    ]  # fmt: skip
    ways = []
    for rule in RULES:
        gone = times[rule.source, rule.event, rule.target]
        broken = rule.event == Interrupted.event
        if not broken or gone:
            guard = f" [{rule.when.__name__}]" if rule.when else ""
            label = f"{rule.event}{guard}"
            ways.append(Way(rule.source, rule.target, label, broken, gone if counted else None))
    return Drawing("The loop that improves workflows", tuple(nodes), tuple(ways))
