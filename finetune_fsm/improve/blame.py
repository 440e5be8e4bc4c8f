"""Which field of a workflow is to blame for failing scenarios: by rule, without a model.

In a state machine most blame is free: the state that saved the wrong text, the states that fed
it, the state that took the wrong way, the state that broke off. What a rule can repair is evidence
too, and the strongest: a variable that nothing sets is wrong whatever a model replied. Ranking
suspects first and changing one at a time is the largest lever there is for a small model
(JudgeFlow, arXiv 2601.07477; our own measurements agree).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from finetune_fsm.errors import Path
from finetune_fsm.improve.clues import Clue, clues
from finetune_fsm.improve.model import Repair, Suspect
from finetune_fsm.improve.repairs import repairs
from finetune_fsm.improve.scene import Scene, failing_share
from finetune_fsm.scenarios.model import (
    SuiteReport,
)
from finetune_fsm.workflow.edits import EditOp
from finetune_fsm.workflow.model import Workflow

CERTAINTY: Mapping[str, float] = {
    "misspelt_placeholder": 16.0,
    "odd_placeholder": 16.0,
    "wrong_order": 14.0,
    "missing_save": 14.0,
    "renamed_save": 13.0,
    "wrong_start": 12.0,
    "missing_state": 12.0,
    "unsaved_branch": 10.0,
    "cut_reply": 8.0,
    "odd_default": 8.0,
    "swapped_options": 8.0,
    "ignored_input": 8.0,
    "ignored_reply": 8.0,
    "unreached_state": 6.0,
    "missing_option": 6.0,
    "exchanged_ways": 6.0,
    "endless_loop": 6.0,
}
"""How much a rule's first repair says of the field that it changes, for each failing scenario.

A direct clue says `DIRECT`. What rests on the words of a prompt adds nothing to what the runs say.
"""

BY_WAYS = frozenset({"unreached_state", "missing_option", "exchanged_ways", "endless_loop"})
"""Rules about a state on the way, which the more is to blame the more it goes with failure."""

SHARED = 0.4
"""How much of its certainty a way keeps that runs take which pass."""


@dataclass(slots=True)
class _Tally:
    weight: float = 0.0
    reasons: dict[str, float] = field(default_factory=dict)
    requirements: dict[str, None] = field(default_factory=dict)
    scenarios: dict[str, None] = field(default_factory=dict)

    def add(self, clue: Clue, scenario: str) -> None:
        self.weight += clue.weight
        self.reasons[clue.reason] = self.reasons.get(clue.reason, 0) + clue.weight
        self.scenarios[scenario] = None
        if clue.requirement:
            self.requirements[clue.requirement] = None

    @property
    def reason(self) -> str:
        """The weightiest one, the first of equals."""
        return max(self.reasons, key=lambda reason: self.reasons[reason])


def suspects(workflow: Workflow, report: SuiteReport) -> tuple[Suspect, ...]:
    """Return the fields that the failing scenarios of *report* point at, likeliest first. Pure.

    Most are ``("states", S, FIELD)`` or ``("states", S, "steps", I, FIELD)``. Where runs begin is
    ``("start_state",)``, a state that is missing altogether ``("states",)``, a limit of tokens
    ``("states", S, "options", "num_predict")``.
    """
    scene = Scene(workflow, report)
    tallies: dict[Path, _Tally] = defaultdict(_Tally)
    for result in scene.failed:
        strongest: dict[Path, float] = {}
        for clue in sorted(clues(scene, result), key=lambda clue: -clue.weight):
            counts = clue.path not in strongest  # five checks of one text are no five reasons
            strongest[clue.path] = clue.weight
            kept = clue if counts else Clue(clue.path, 0.0, clue.reason, clue.requirement)
            tallies[clue.path].add(kept, result.scenario.name)
    for clue, names in _ruled(scene):
        for name in names:
            tallies[clue.path].add(clue, name)
    order = {result.scenario.name: place for place, result in enumerate(report.results)}
    ranked = sorted(tallies.items(), key=lambda item: -item[1].weight)
    return tuple(
        Suspect(path, t.reason, tuple(t.requirements), tuple(sorted(t.scenarios, key=order.get)))  # type: ignore[arg-type]  # every name is in it
        for path, t in ranked
    )


def _ruled(scene: Scene) -> Iterator[tuple[Clue, tuple[str, ...]]]:
    """What the rules' repairs say of the fields that they would change, and for which scenarios."""
    failed = tuple(result.scenario.name for result in scene.failed)
    if not failed:
        return
    seen: Counter[str] = Counter()
    for repair in repairs(scene.workflow, scene.report):
        certainty = CERTAINTY.get(repair.code)
        if certainty is None:
            continue
        seen[repair.code] += 1
        path = _field_of(repair)
        weight = certainty * _confidence(scene, repair, path) / seen[repair.code]
        yield Clue(path, weight, repair.why), repair.scenarios or failed


def _field_of(repair: Repair) -> Path:
    """The field that *repair* changes first, in the form of `suspects`."""
    edit = repair.edits[0]
    path = edit.path
    if path[0] != "states":
        return path[:1]
    if len(path) == 2:
        return path[:1] if edit.op is EditOp.SET else path
    inside = 4 if path[2] == "steps" and len(path) > 4 else 2
    if path[inside] == "options":
        return path
    name = "prompt" if path[inside] == "prompt_file" else path[inside]
    return (*path[:inside], name)


def _confidence(scene: Scene, repair: Repair, path: Path) -> float:
    """How much of its rule's certainty *repair* has, 0..1."""
    if repair.code not in BY_WAYS:
        return 1.0
    state = next(s for s in reversed(scene.states) if s.owner == path[1])
    visited = any(state.name in result.rollout.visited for result in scene.passed)
    shared = SHARED if visited and repair.code == "unreached_state" else 1.0
    return failing_share(scene, state) * shared
