"""What one failing run points at: by rule, without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_fsm.errors import LLMErrorKind, Path
from finetune_fsm.execution.rollout import Rollout, RunError
from finetune_fsm.improve.scene import Scene, failing_share, goes_round, options_path, way_path
from finetune_fsm.improve.ways import reached
from finetune_fsm.scenarios.model import AssertionResult, AssertionType, ScenarioResult
from finetune_fsm.workflow.model import END, State, StateKind

SPENDING = (AssertionType.TOKENS, AssertionType.LLM_CALLS, AssertionType.LATENCY)
"""What a run takes, whichever way it goes."""

DIRECT, ROUTING, FEEDING = 3.0, 2.0, 1.0
"""Weights: of the field that wrote it, that led past it, that fed it."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One reason to suspect one field, with a weight (larger is likelier)."""

    path: Path
    weight: float
    reason: str
    requirement: str = ""


def clues(scene: Scene, result: ScenarioResult) -> Iterator[Clue]:
    """Yield what one failing run says. Pure."""
    error = result.rollout.error
    if goes_round(result.rollout):
        yield from _rounds(scene, result.rollout)
    elif error is not None and error.state in scene.workflow.states:
        yield from _broken(scene, error)
    right = {name for a in result.scenario.assertions for name in a.wanted_states}
    wanted = dict.fromkeys(n for f in result.failures for n in f.assertion.wanted_states)
    missed = {name for name in wanted if name not in result.rollout.visited}
    right -= missed
    for name in wanted:
        if name in missed:
            yield from _routing(scene, result.rollout, name, right)
    for failure in result.failures:
        if failure.assertion.target:
            yield from _text(scene, result.rollout, failure, (missed, right))
        elif failure.assertion.type in SPENDING:
            yield from _spending(scene, result.rollout, failure)
        elif not missed.intersection(failure.assertion.wanted_states):
            yield from _choices(scene, result.rollout, failure)


def _rounds(scene: Scene, rollout: Rollout) -> Iterator[Clue]:
    """Blame for a run without an end: the ways of the states that it went round."""
    order = list(scene.workflow.states)
    again = {name for name, count in Counter(rollout.visited).items() if count > 1}
    for name in (name for name in order if name in again):
        state = scene.workflow.states[name]
        back = state.next in again and order.index(state.next or END) <= order.index(name)
        weight = DIRECT if back else FEEDING
        yield from _way(scene, state, weight, "the run goes round here for ever")


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


def _spending(scene: Scene, rollout: Rollout, failure: AssertionResult) -> Iterator[Clue]:
    """Blame for a run that took too much: the states that asked a model, who wrote most first."""
    visits = [v for v in rollout.visits if v.state in scene.workflow.states and v.completion]
    written = sum(len(visit.completion) for visit in visits)
    for visit in visits:
        state = scene.workflow.states[visit.state]
        if state.kind is StateKind.PROMPT:
            weight = FEEDING * (1 + len(visit.completion) / written)
            requirement = failure.assertion.requirement
            yield Clue(_prompt_of(state), weight, "it asks the model", requirement)


def _choices(scene: Scene, rollout: Rollout, failure: AssertionResult) -> Iterator[Clue]:
    """Blame for a run that went where it should not: who chose a state that the check names."""
    named = set(failure.assertion.states)
    for visit in rollout.visits:
        state = scene.workflow.states.get(visit.state)
        if state is not None and len(state.targets) > 1:
            weight = DIRECT if visit.next in named else FEEDING
            reason = f"it chose '{visit.next}'"
            yield from _way(scene, state, weight, reason, failure.assertion.requirement)


def _text(
    scene: Scene, rollout: Rollout, failure: AssertionResult, ways: tuple[set[str], set[str]]
) -> Iterator[Clue]:
    """Blame for a variable with the wrong text; less when a wanted state was not reached."""
    target, requirement = failure.assertion.target, failure.assertion.requirement
    missed, right = ways
    savers = [s for s in scene.states if s.save_as == target]
    visited = [s for s in savers if s.name in rollout.visited]
    for saver in savers if not visited else ():
        yield from _routing(scene, rollout, saver.name, right)
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


def _routing(scene: Scene, rollout: Rollout, wanted: str, right: set[str]) -> Iterator[Clue]:
    """Blame for a state that should have been reached; the last way taken is likeliest.

    A choice that led to one of the *right* states, which the scenario wants too, was no mistake.
    """
    workflow = scene.workflow
    requirement = f"the run must reach the state '{wanted}'"
    names = dict.fromkeys(name for name in rollout.visited if name in workflow.states)
    for closeness, state in enumerate(workflow.states[name] for name in reversed(names)):
        weight = ROUTING / (1 + closeness) * (0.5 + failing_share(scene, state) / 2)
        if state.next_options and right.intersection(state.targets):
            continue
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
