"""Which field of a workflow is to blame for failing scenarios: by rule, without a model.

In a state machine most blame is free: the state that saved the wrong text, the states that fed
it, the state that took the wrong way, the state that broke off. Ranking suspects first and
changing one at a time is the largest lever there is for a small model (JudgeFlow, arXiv
2601.07477; our own measurements agree).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from finetune_fsm.errors import Path
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.improve.model import Suspect
from finetune_fsm.scenarios.model import (
    AssertionResult,
    AssertionType,
    ScenarioResult,
    SuiteReport,
)
from finetune_fsm.workflow.model import END, State, StateKind, Workflow

DIRECT, ROUTING, FEEDING = 3.0, 2.0, 1.0


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
    reason: str = ""
    requirements: dict[str, None] = field(default_factory=dict)
    scenarios: dict[str, None] = field(default_factory=dict)


def suspects(workflow: Workflow, report: SuiteReport) -> tuple[Suspect, ...]:
    """Return the fields that the failing scenarios of *report* point at, likeliest first. Pure."""
    tallies: dict[Path, _Tally] = defaultdict(_Tally)
    for result in report.results:
        for clue in _clues(workflow, result):
            tally = tallies[clue.path]
            tally.weight += clue.weight
            tally.reason = tally.reason or clue.reason
            tally.scenarios[result.scenario.name] = None
            if clue.requirement:
                tally.requirements[clue.requirement] = None
    ranked = sorted(tallies.items(), key=lambda item: -item[1].weight)
    return tuple(
        Suspect(path, t.reason, tuple(t.requirements), tuple(t.scenarios)) for path, t in ranked
    )


def _clues(workflow: Workflow, result: ScenarioResult) -> Iterator[Clue]:
    if result.passed:
        return
    error = result.rollout.error
    if error is not None and error.state in workflow.states:
        state = workflow.states[error.state]
        yield Clue(_main_field(state), DIRECT, f"the run broke off here: {error.message}")
    for failure in result.failures:
        if failure.assertion.type is AssertionType.STATE_REACHED:
            yield from _routing(workflow, result.rollout, failure.assertion.value)
        else:
            yield from _text(workflow, result.rollout, failure)


def _text(workflow: Workflow, rollout: Rollout, failure: AssertionResult) -> Iterator[Clue]:
    """Blame for a variable with the wrong text."""
    target, requirement = failure.assertion.target, failure.assertion.requirement
    savers = [s for s in workflow.states.values() if s.save_as == target]
    visited = [s for s in savers if s.name in rollout.visited]
    for saver in savers if not visited else ():
        yield from _routing(workflow, rollout, saver.name)
    for saver in visited[-1:]:
        if saver.kind is StateKind.PROMPT:
            yield Clue(_main_field(saver), DIRECT, f"it writes '{target}'", requirement)
        for feeder in workflow.states.values():
            if feeder.save_as in saver.reads and feeder.kind is StateKind.PROMPT:
                yield Clue(
                    _main_field(feeder),
                    FEEDING,
                    f"it writes '{feeder.save_as}', used for '{target}'",
                )


def _routing(workflow: Workflow, rollout: Rollout, wanted: str) -> Iterator[Clue]:
    """Blame for a state that should have been reached; the last way taken is likeliest."""
    requirement = f"the run must reach the state '{wanted}'"
    passed = [workflow.states[name] for name in rollout.visited if name in workflow.states]
    for closeness, state in enumerate(reversed(passed)):
        weight = ROUTING / (1 + closeness)
        if state.next_options:
            weight = DIRECT if wanted in state.targets else weight
            reason = f"it decides the way, and '{wanted}' was not reached"
            yield Clue((*state.origin, "next_options"), weight, reason, requirement)
        elif wanted not in {state.name, state.next or END}:
            reason = f"it goes on to '{state.next or END}', and '{wanted}' was not reached"
            yield Clue((*state.origin, "next"), weight, reason, requirement)


def _main_field(state: State) -> Path:
    return (*state.origin, "prompt")
