"""A scenario made of what happened: its inputs were answered so, and this is what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from finetune_fsm.errors import UsageError
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.scenarios.assertions import trimmed
from finetune_fsm.scenarios.load import dump_suite
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import StateKind, Workflow
from finetune_fsm.workflow.splice import splice
from finetune_fsm.workflow.text import parse


def captured(scenario: Scenario, rollout: Rollout, workflow: Workflow, *, source: str) -> Scenario:
    """Return a scenario that holds when *workflow* does again what it did in *rollout*. Pure.

    Args:
        scenario: What was run.
        rollout: What happened.
        workflow: What ran.
        source: Where it was taken from, for people.

    Raises:
        UsageError: nothing happened that could be asserted.
    """
    answers = {visit.state: visit.completion for visit in rollout.visits if visit.kind == "input"}
    assertions = (*_values(rollout, workflow), *_ways(rollout))
    if not assertions:
        raise UsageError(f"nothing came of '{scenario.name}' that a test could look at")
    return replace(
        scenario,
        name=f"{scenario.name} (captured)",
        inputs={**scenario.inputs, **{state: text for state, text in answers.items() if text}},
        assertions=assertions,
        description=f"captured from {source}",
        generated=False,
    )


def _values(rollout: Rollout, workflow: Workflow) -> Iterator[Assertion]:
    """What the prompts that ran have saved, each variable as it was at the end."""
    ran = [workflow.states[name] for name in rollout.visited if name in workflow.states]
    saved = dict.fromkeys(s.save_as for s in ran if s.save_as and s.kind is StateKind.PROMPT)
    for name in saved:
        value = trimmed(rollout.variables.get(name, ""))
        if value:
            yield Assertion(type=AssertionType.EQUALS, value=value, target=name)


def _ways(rollout: Rollout) -> Iterator[Assertion]:
    for name in dict.fromkeys(rollout.visited):
        yield Assertion(type=AssertionType.STATE_REACHED, value=name)


def unlike(name: str, taken: Collection[str]) -> str:
    """Return *name*, with a number when it is *taken*. Pure."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name} {number}"
    return found


def added(text: str, scenario: Scenario) -> str:
    """Return the test file *text* with *scenario* as its last; all else stays as it is. Pure.

    Raises:
        InvalidDocument: *text* is no test file.
        ValueError: the scenario holds text that YAML cannot.
    """
    there = parse(text).document["test_scenarios"]
    name = unlike(scenario.name, {str(item.get("name", "")).strip() for item in there})
    alone = parse(dump_suite(Suite("x", (replace(scenario, name=name),)))).document
    edit = Edit(EditOp.SET, ("test_scenarios", len(there)), alone["test_scenarios"][0])
    return splice(text, (edit,)).text
