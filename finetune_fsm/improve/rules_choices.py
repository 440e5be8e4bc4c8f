"""Rules for what a model chooses between: options exchanged, or one that is missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations, permutations

from finetune_fsm.errors import Path
from finetune_fsm.improve.model import Repair
from finetune_fsm.improve.scene import Scene, repair, titled, way_path
from finetune_fsm.improve.ways import reached
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.graph import unreachable
from finetune_fsm.workflow.model import State

FALLBACK = "None of the other options fits."
"""What an option says that takes whatever is left."""

MOST_OPTIONS = 5
"""Options of one state of which every order is tried, 120 of them."""


def missing_option(scene: Scene) -> Iterator[Repair]:
    """A scenario wants a state that no way leads to, and a model chose among others: offer it."""
    lost = set(unreachable(scene.workflow))
    chosen: Counter[tuple[str, str]] = Counter()
    for result, name in scene.wanted_states():
        state = scene.workflow.states.get(name)
        visited = [scene.workflow.states.get(n) for n in result.rollout.visited]
        choosing = [s for s in visited if s is not None and s.next_options]
        if state is not None and name in lost and choosing:
            chosen[choosing[-1].name, state.owner] += 1
    for (name, wanted), _ in chosen.most_common():
        state = scene.workflow.states[name]
        path = way_path(scene.workflow, state)
        why = f"'{name}' offers no way to '{wanted}', and no other leads there"
        for text in (FALLBACK, f"It is about this: {titled(wanted)}."):
            option = {"state": wanted, "description": text}
            place: Path = (*(path or ()), "next_options", len(state.next_options))
            yield repair("missing_option", why, Edit(EditOp.SET, place, option))


def swapped_options(scene: Scene) -> Iterator[Repair]:
    """A model chose options where scenarios want others: let each lead where it should.

    First in the order that most runs ask for, then two and two: a model that is told nonsense
    chooses the same whatever it is asked.
    """
    for name, seen in _choices_made(scene).items():
        state = scene.workflow.states[name]
        own = tuple(range(len(state.targets)))
        missed = Counter(
            {
                (min(i, j), max(i, j)): n
                for i, all_ in seen.items()
                for j, n in all_.items()
                if i != j
            }
        )
        swaps = (tuple({a: b, b: a}.get(i, i) for i in own) for (a, b), _ in missed.most_common())
        likeliest = _likeliest_order(seen, len(own))
        for order in dict.fromkeys((likeliest, *swaps)):
            moved = {
                index: state.targets[to]
                for index, to in enumerate(order)
                if state.targets[to] != state.targets[index]
            }
            if moved:
                code = "swapped_options" if order == likeliest else "swapped_two"
                yield _reordered(code, scene, state, moved)


def _reordered(code: str, scene: Scene, state: State, moved: Mapping[int, str]) -> Repair:
    shown = ", ".join(f"'{target}'" for target in moved.values())
    why = f"the options of '{state.name}' that lead to {shown} look exchanged"
    place = (*(way_path(scene.workflow, state) or ()), "next_options")
    edits = (Edit(EditOp.SET, (*place, i, "state"), to) for i, to in moved.items())
    return repair(code, why, *edits)


def _likeliest_order(seen: Mapping[int, Counter[int]], count: int) -> tuple[int, ...]:
    """Return which target each option should have: what most runs ask for, else its own.

    With more options than `MOST_OPTIONS` only two are exchanged.
    """
    own = tuple(range(count))
    if count <= MOST_OPTIONS:
        orders = list(permutations(own))
    else:
        pairs = combinations(own, 2)
        orders = [own, *(tuple({a: b, b: a}.get(i, i) for i in own) for a, b in pairs)]

    def agreement(order: tuple[int, ...]) -> tuple[int, int]:
        asked = sum(counts[order[index]] for index, counts in seen.items())
        return asked, sum(a == b for a, b in zip(order, own, strict=True))

    return max(orders, key=agreement)


def _choices_made(scene: Scene) -> dict[str, dict[int, Counter[int]]]:
    """For each choosing state: how often an option was taken where which one was wanted."""
    found: dict[str, dict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    wanted = [(result, name) for result, name in scene.wanted_states()]
    wanted += [
        (r, n) for r in scene.passed for n in r.rollout.visited if n in scene.workflow.states
    ]
    for result, name in wanted:
        for visit in result.rollout.visits:
            state = scene.workflow.states.get(visit.state)
            if state is None or not visit.routed or visit.next not in state.targets:
                continue
            leading = [i for i, t in enumerate(state.targets) if _leads(scene, state, t, name)]
            if len(leading) == 1:
                found[state.name][state.targets.index(visit.next)][leading[0]] += 1
    return found


def _leads(scene: Scene, state: State, target: str, wanted: str) -> bool:
    return wanted in reached(scene.workflow, (target,), errors=False, without=state.name)
