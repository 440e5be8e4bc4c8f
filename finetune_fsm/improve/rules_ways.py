"""Rules for the ways between states: not reached, in the wrong order, exchanged, never ending."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from finetune_fsm.errors import Path
from finetune_fsm.improve.model import Repair
from finetune_fsm.improve.scene import (
    Scene,
    failing_share,
    goes_round,
    repair,
    way_path,
)
from finetune_fsm.improve.ways import reached
from finetune_fsm.scenarios.model import ScenarioResult
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.graph import available, unreachable
from finetune_fsm.workflow.model import END, State, StateKind


def wrong_start(scene: Scene) -> Iterator[Repair]:
    """The first state is one that another, which nothing leads to, should come before."""
    workflow = scene.workflow
    usual = reached(workflow, errors=False)
    lost = [name for name in unreachable(workflow) if workflow.states[name].owner == name]
    wider = {name: reached(workflow, (name,), errors=False) for name in lost}
    fitting = [name for name in lost if usual <= wider[name]]
    for name in sorted(fitting, key=lambda n: -len(wider[n])):
        why = f"a run begins at '{workflow.start_state}', past '{name}', which leads there"
        yield repair("wrong_start", why, Edit(EditOp.SET, ("start_state",), name))


def wrong_order(scene: Scene) -> Iterator[Repair]:
    """A state reads what only a later one saves: let the later one come first."""
    workflow = scene.workflow
    for reader in scene.states:
        unset = reader.reads & workflow.saved_variables - available(workflow, reader.name)
        after = reached(workflow, reader.targets, errors=False)
        for saver in scene.states:
            if saver.save_as not in unset or saver.name not in after or saver is reader:
                continue
            edits = _moved_before(scene, saver, reader)
            if edits:
                why = f"'{reader.name}' reads '{saver.save_as}', which '{saver.name}' saves later"
                yield repair("wrong_order", why, *edits)


def _moved_before(scene: Scene, saver: State, reader: State) -> tuple[Edit, ...]:
    """The edits that take *saver* out of its place and put it before *reader*; or none."""
    workflow = scene.workflow
    if saver.next_options or any(len(state.origin) > 2 for state in (saver, reader)):
        return ()
    after = saver.next or END
    edits: list[Edit] = []
    if workflow.start_state == reader.name:
        edits.append(Edit(EditOp.SET, ("start_state",), saver.name))
    for state in scene.states:
        turned = {reader.name: saver.name} if state is not saver else {}
        if state is not saver:
            turned[saver.name] = after
        moved = list(_redirected(scene, state, turned))
        if None in moved:
            return ()
        edits += [edit for edit in moved if edit is not None]
    return (*edits, Edit(EditOp.SET, (*saver.origin, "next"), reader.name))


def _redirected(scene: Scene, state: State, turned: dict[str, str]) -> Iterator[Edit | None]:
    """The edits that make *state* go elsewhere; None when it cannot, as within steps."""
    path = way_path(scene.workflow, state)
    if not state.next_options and state.next in turned:
        yield Edit(EditOp.SET, (*path, "next"), turned[state.next]) if path else None
    for index, option in enumerate(state.next_options):
        if option.state in turned:
            place: Path = (*(path or ()), "next_options", index, "state")
            yield Edit(EditOp.SET, place, turned[option.state]) if path else None


def unreached_state(scene: Scene) -> Iterator[Repair]:
    """A scenario wants a state that no way leads to: send a state before it there."""
    wanted: dict[str, list[ScenarioResult]] = defaultdict(list)
    lost = set(unreachable(scene.workflow))
    for result, name in (*scene.wanted_states(), *_needed(scene, lost)):
        state = scene.workflow.states.get(name)
        if state is not None and name in lost:
            wanted[_first_of_chain(scene, state, lost)].append(result)
    for name, results in wanted.items():
        state = scene.workflow.states[name]
        for before in _candidates_before(scene, state, results):
            path = way_path(scene.workflow, before)
            why = f"no way leads to '{name}', and '{before.name}' goes to '{before.next or END}'"
            edit = Edit(EditOp.SET, (*(path or ()), "next"), name)
            names = dict.fromkeys(result.scenario.name for result in results)
            yield repair("unreached_state", why, edit, *names)


def _needed(scene: Scene, lost: set[str]) -> Iterator[tuple[ScenarioResult, str]]:
    """States that failing scenarios answer, or whose variable a state that they visit reads."""
    kept = {s.save_as for s in scene.states if s.name not in lost} | set(scene.workflow.variables)
    for result in scene.failed:
        visited = [scene.workflow.states.get(name) for name in result.rollout.visited]
        read = {name for state in visited if state is not None for name in state.reads} - kept
        for state in scene.states:
            if state.name in lost and (
                state.name in result.scenario.inputs or state.save_as in read
            ):
                yield result, state.name


def _first_of_chain(scene: Scene, state: State, lost: set[str]) -> str:
    """The state to send a run to so that it comes to *state*: the first of those before it."""
    name, seen = state.owner, set[str]()
    while name not in seen:
        seen.add(name)
        before = [s.owner for s in scene.states if name in s.targets and s.owner in lost]
        before = [owner for owner in before if owner != name]
        name = before[0] if len(set(before)) == 1 else name
    return name


def _candidates_before(scene: Scene, state: State, results: list[ScenarioResult]) -> list[State]:
    """Visited states that could lead to *state*, likeliest first."""
    visited = {name for result in results for name in result.rollout.visited}
    found = [
        s
        for s in scene.states
        if s.name in visited
        and not s.next_options
        and s.owner != state.owner
        and way_path(scene.workflow, s) is not None
        and END in reached(scene.workflow, (state.name,), errors=False, without=s.name)
    ]
    return sorted(found, key=lambda s: -_likelihood(scene, s, state))


def _likelihood(scene: Scene, before: State, state: State) -> float:
    """How likely *before* should lead to *state*; larger is likelier, about -2..6.

    A way that passing runs take is right; one that jumps to what follows *state*, to the end or
    back, from the state that stands before it in the file, is where somebody slipped.
    """
    order = list(scene.workflow.file_states)
    place, here = order.index(state.owner), order.index(before.owner)
    shared = any(before.name in result.rollout.visited for result in scene.passed)
    target = before.next or END
    back = target != END and order.index(scene.workflow.states[target].owner) <= here
    return (
        2 * failing_share(scene, before)
        - 3 * shared
        + (target in state.targets)
        + (here == place - 1)
        + 2 * back
        + (before.kind is StateKind.TRANSITION) / 2
        - abs(place - here) / (10 * len(order))
    )


def exchanged_ways(scene: Scene) -> Iterator[Repair]:
    """Two states each lead where the other should: exchange what follows them."""
    missed: dict[str, Counter[str]] = defaultdict(Counter)
    for result, wanted in scene.wanted_states():
        for name in dict.fromkeys(result.rollout.visited):
            state = scene.workflow.states.get(name)
            if state is not None and not state.next_options and way_path(scene.workflow, state):
                missed[name][wanted] += 1
    states = [scene.workflow.states[name] for name in missed]
    for place, one in enumerate(states):
        for other in states[place + 1 :]:
            crossed = missed[one.name][other.next or END], missed[other.name][one.next or END]
            apart = missed[one.name][one.next or END] == missed[other.name][other.next or END] == 0
            if all(crossed) and apart:
                why = f"'{one.name}' and '{other.name}' each lead where the other should"
                edits = (
                    Edit(EditOp.SET, ("states", a.owner, "next"), b.next or END)
                    for a, b in ((one, other), (other, one))
                )
                yield repair("exchanged_ways", why, *edits)


def endless_loop(scene: Scene) -> Iterator[Repair]:
    """Runs go round and never come to an end: let the state that leads back go on instead."""
    order = list(scene.workflow.file_states)
    round_it = [result.rollout for result in scene.failed if goes_round(result.rollout)]
    visited = {name for rollout in round_it for name in rollout.visited}
    for state in scene.states:
        here = order.index(state.owner)
        target = scene.workflow.states.get(state.next or END)
        path = way_path(scene.workflow, state)
        back = target is not None and order.index(target.owner) <= here
        if state.next_options or path is None or not back or state.name not in visited:
            continue
        for onward in (*order[here + 1 : here + 2], END):
            if onward == END or END in reached(scene.workflow, (onward,), errors=False):
                why = f"a run goes from '{state.name}' back to '{state.next}' for ever"
                yield repair("endless_loop", why, Edit(EditOp.SET, (*path, "next"), onward))
