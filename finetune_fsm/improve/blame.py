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

from finetune_fsm.errors import LLMErrorKind, Path
from finetune_fsm.execution.rollout import Rollout, RunError
from finetune_fsm.improve.model import Repair, Suspect
from finetune_fsm.improve.repairs import repairs
from finetune_fsm.improve.rules_names import asks_for
from finetune_fsm.improve.scene import Scene, failing_share, goes_round, options_path, way_path
from finetune_fsm.improve.ways import reached
from finetune_fsm.scenarios.model import (
    AssertionResult,
    AssertionType,
    ScenarioResult,
    SuiteReport,
)
from finetune_fsm.workflow.edits import EditOp
from finetune_fsm.workflow.model import END, State, StateKind, Workflow

DIRECT, ROUTING, FEEDING = 3.0, 2.0, 1.0

CERTAINTY: Mapping[str, float] = {
    "misspelt_placeholder": 12.0,
    "odd_placeholder": 12.0,
    "wrong_order": 10.0,
    "missing_save": 10.0,
    "wrong_start": 9.0,
    "missing_state": 9.0,
    "renamed_save": 9.0,
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

GUESSED = 0.5
"""How much of its certainty a repair keeps that another flaw beside it makes doubtful.

A renaming when the state does not speak of the new name; a forgotten variable when its reader
reads another that nothing sets.
"""

SHARED = 0.4
"""How much of its certainty a way keeps that runs take which pass."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One reason to suspect one field, with a weight (larger is likelier)."""

    path: Path
    weight: float
    reason: str
    requirement: str = ""


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
        for clue in sorted(_clues(scene, result), key=lambda clue: -clue.weight):
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
    if repair.code == "renamed_save":
        state = next(s for s in scene.states if s.origin == path[:-1])
        return 1.0 if asks_for(state, str(repair.edits[0].value)) else GUESSED
    if repair.code in ("ignored_input", "ignored_reply"):
        reader = next(s for s in scene.states if s.origin == path[:-1])
        return GUESSED if reader.reads - scene.known else 1.0
    if repair.code not in BY_WAYS:
        return 1.0
    state = next(s for s in reversed(scene.states) if s.owner == path[1])
    visited = any(state.name in result.rollout.visited for result in scene.passed)
    shared = SHARED if visited and repair.code == "unreached_state" else 1.0
    return failing_share(scene, state) * shared


def _clues(scene: Scene, result: ScenarioResult) -> Iterator[Clue]:
    """What one failing run says."""
    error = result.rollout.error
    if goes_round(result.rollout):
        yield from _rounds(scene, result.rollout)
    elif error is not None and error.state in scene.workflow.states:
        yield from _broken(scene, error)
    missed = {
        failure.assertion.value.strip()
        for failure in result.failures
        if failure.assertion.type is AssertionType.STATE_REACHED
    }
    for name in missed:
        yield from _routing(scene, result.rollout, name)
    for failure in result.failures:
        if failure.assertion.type is not AssertionType.STATE_REACHED:
            yield from _text(scene, result.rollout, failure, missed)


def _rounds(scene: Scene, rollout: Rollout) -> Iterator[Clue]:
    """Blame for a run without an end: the ways of the states that it went round."""
    again = {name for name, count in Counter(rollout.visited).items() if count > 1}
    for name in again & set(scene.workflow.states):
        yield from _way(scene, scene.workflow.states[name], ROUTING, "the run goes round here")


def _broken(scene: Scene, error: RunError) -> Iterator[Clue]:
    """Blame for a run that broke off."""
    state = scene.workflow.states[error.state]
    reason = f"the run broke off here: {error.message}"
    match state.kind:
        case StateKind.PROMPT if error.kind is LLMErrorKind.CUT_BY_LIMIT:
            yield Clue((*options_path(scene.workflow, state), "num_predict"), DIRECT, reason)
            yield Clue(_prompt_of(state), FEEDING, reason)
        case StateKind.PROMPT:
            yield Clue(_prompt_of(state), DIRECT, reason)
        case StateKind.INPUT:
            yield Clue((*state.origin, "default_value"), DIRECT, reason)
        case StateKind.TRANSITION | StateKind.WORKFLOW_REF:
            yield from _way(scene, state, ROUTING, reason)


def _text(
    scene: Scene, rollout: Rollout, failure: AssertionResult, missed: set[str]
) -> Iterator[Clue]:
    """Blame for a variable with the wrong text; less when a wanted state was not reached."""
    target, requirement = failure.assertion.target, failure.assertion.requirement
    savers = [s for s in scene.states if s.save_as == target]
    visited = [s for s in savers if s.name in rollout.visited]
    for saver in savers if not visited else ():
        yield from _routing(scene, rollout, saver.name)
    for saver in visited[-1:]:
        doubt = FEEDING / DIRECT if missed else failing_share(scene, saver)
        if saver.kind is StateKind.PROMPT:
            yield Clue(_prompt_of(saver), DIRECT * doubt, f"it writes '{target}'", requirement)
        for feeder in scene.states:
            if feeder.save_as in saver.reads and feeder.kind is StateKind.PROMPT:
                reason = f"it writes '{feeder.save_as}', used for '{target}'"
                yield Clue(_prompt_of(feeder), FEEDING * doubt, reason)
        yield from _other_writers(scene, rollout, savers)


def _other_writers(scene: Scene, rollout: Rollout, savers: list[State]) -> Iterator[Clue]:
    """Blame for choices after which another state would have written the text."""
    others = {saver.name for saver in savers} - set(rollout.visited)
    for visit in rollout.visits:
        state = scene.workflow.states.get(visit.state)
        if state is None or not visit.routed:
            continue
        passed = [t for t in state.targets if t != visit.next]
        if others & reached(scene.workflow, passed, errors=False, without=state.name):
            yield from _way(scene, state, FEEDING, f"it chose '{visit.next}'")


def _routing(scene: Scene, rollout: Rollout, wanted: str) -> Iterator[Clue]:
    """Blame for a state that should have been reached; the last way taken is likeliest."""
    workflow = scene.workflow
    requirement = f"the run must reach the state '{wanted}'"
    names = dict.fromkeys(name for name in rollout.visited if name in workflow.states)
    for closeness, state in enumerate(workflow.states[name] for name in reversed(names)):
        weight = ROUTING / (1 + closeness) * (0.5 + failing_share(scene, state) / 2)
        if state.next_options:
            leads = wanted in reached(workflow, state.targets, errors=False, without=state.name)
            reason = f"it decides the way, and '{wanted}' was not reached"
            yield from _way(scene, state, DIRECT if leads else weight, reason, requirement)
        elif wanted not in {state.name, state.next or END}:
            reason = f"it goes on to '{state.next or END}', and '{wanted}' was not reached"
            yield from _way(scene, state, weight, reason, requirement)


def _way(
    scene: Scene, state: State, weight: float, reason: str, requirement: str = ""
) -> Iterator[Clue]:
    path = way_path(scene.workflow, state)
    if path is not None:  # a step in the middle goes on to the next one, whatever is written
        name = "next_options" if state.next_options else "next"
        yield Clue((*path, name), weight, reason, requirement)


def _prompt_of(state: State) -> Path:
    return (*state.origin, "prompt")
