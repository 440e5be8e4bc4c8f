"""Tests for a workflow that has none: written by a model, over what exists, never trusted blindly.

Constrained decoding lets a model name only states and variables that there are. What it wrote is
read as data, each scenario on its own: a bad one is dropped, and if none is left, one scenario
that only follows the workflow to its end stands in.
"""

from __future__ import annotations

from collections.abc import Mapping

from finetune_fsm.errors import Problem
from finetune_fsm.improve import wording
from finetune_fsm.improve.replies import read_object, text_field
from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Scenario,
    ScenarioResult,
    Suite,
    SuiteReport,
)
from finetune_fsm.workflow.model import END, StateKind, Workflow

COUNT = 3
"""Scenarios asked for."""

REPLY_TOKENS = 900
TEXT_LIMIT = 500
"""Characters of a name, an input or an expected value."""


def request(model: str, workflow: Workflow, *, seed: int = 0) -> Request:
    """Return the question that asks *model* for tests. Pure."""
    text = wording.rendered("tests", {"workflow": wording.shown(workflow), "count": str(COUNT)})
    return Request(
        model=model,
        messages=(Message("user", text),),
        options={"temperature": 0, "seed": seed, "num_predict": REPLY_TOKENS},
        schema=_schema(workflow),
        purpose=Purpose.TESTS,
        reuse_prefix=True,
        label="tests",
    )


def _schema(workflow: Workflow) -> Mapping[str, object]:
    text = {"type": "string"}
    reached = _strict({"type": {"const": "state_reached"}, "value": {"enum": _reachable(workflow)}})
    checks = [reached]
    targets = sorted(workflow.saved_variables)
    if targets:
        kinds = {"enum": ["contains", "equals"]}
        checks.append(_strict({"type": kinds, "target": {"enum": targets}, "value": text}))
    scenario = _strict(
        {
            "name": text,
            "inputs": _strict(dict.fromkeys(_questions(workflow), text)),
            "assertions": {
                "type": "array",
                "minItems": 1,
                "maxItems": 2,
                "items": {"anyOf": checks},
            },
        }
    )
    many = {"type": "array", "minItems": 1, "maxItems": COUNT, "items": scenario}
    return _strict({"scenarios": many})


def _strict(properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _questions(workflow: Workflow) -> list[str]:
    return [s.name for s in workflow.states.values() if s.kind is StateKind.INPUT]


def _reachable(workflow: Workflow) -> list[str]:
    """States worth checking: the end, and those that only some ways lead to."""
    branches = [t for s in workflow.states.values() if len(s.targets) > 1 for t in s.targets]
    return list(dict.fromkeys((END, *branches)))


def read(reply: str, workflow: Workflow) -> tuple[Scenario, ...] | Problem:
    """Return the usable scenarios in *reply*, or the problem when there is none. Pure."""
    data = read_object(reply)
    if isinstance(data, Problem):
        return data
    listed = data.get("scenarios")
    found: dict[str, Scenario] = {}
    for item in listed if isinstance(listed, list) else ():
        scenario = _scenario(item, workflow)
        if scenario is not None and scenario.name not in found:
            found[scenario.name] = scenario
    if not found:
        return Problem("bad_reply", "the reply holds no usable scenario")
    return tuple(found.values())[:COUNT]


def _scenario(item: object, workflow: Workflow) -> Scenario | None:
    if not isinstance(item, Mapping):
        return None
    name = text_field(item, "name", limit=TEXT_LIMIT)
    given = item.get("inputs")
    listed = item.get("assertions")
    checks = [_assertion(a, workflow) for a in (listed if isinstance(listed, list) else ())]
    kept = tuple(dict.fromkeys(check for check in checks if check is not None))
    if isinstance(name, Problem) or not kept:
        return None
    inputs = {}
    for state in _questions(workflow):
        value = text_field(given, state, limit=TEXT_LIMIT) if isinstance(given, Mapping) else ""
        if isinstance(value, str) and value:
            inputs[state] = value
    return Scenario(" ".join(name.split()), kept, inputs, generated=True)


def _assertion(item: object, workflow: Workflow) -> Assertion | None:
    if not isinstance(item, Mapping):
        return None
    value = text_field(item, "value", limit=TEXT_LIMIT)
    if isinstance(value, Problem):
        return None
    if item.get("type") == "state_reached":
        known = {*workflow.states, END}
        return Assertion(AssertionType.STATE_REACHED, value) if value in known else None
    target = item.get("target")
    if not isinstance(target, str) or target not in workflow.saved_variables:
        return None
    if item.get("type") not in ("contains", "equals"):
        return None
    exact = item["type"] == "equals"
    kind = AssertionType.EQUALS if exact else AssertionType.CONTAINS
    return Assertion(kind, value, target, case_sensitive=exact)


def fallback(workflow_file: str) -> Suite:
    """Return the suite of last resort: the workflow, with its defaults, comes to its end. Pure."""
    check = Assertion(AssertionType.STATE_REACHED, END)
    return Suite(workflow_file, (Scenario("Comes to its end", (check,), generated=True),))


def trusted(report: SuiteReport, workflow_file: str) -> Suite:
    """Return what of a generated suite can be trusted, given how today's workflow fared. Pure.

    A generated check of a text that fails today says as much about the model that wrote it as
    about the workflow, so it is dropped. That a run should come to a state is kept.
    """
    scenarios = tuple(_trusted(result) for result in report.results)
    return Suite(workflow_file, scenarios)


def _trusted(result: ScenarioResult) -> Scenario:
    scenario = result.scenario
    doubtful = {f.assertion for f in result.failures if f.assertion.target}
    kept = tuple(a for a in scenario.assertions if a not in doubtful)
    checks = kept or (Assertion(AssertionType.STATE_REACHED, END),)
    return Scenario(scenario.name, checks, scenario.inputs, scenario.description, generated=True)
