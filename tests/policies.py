"""Short ways to ask the policy: what does it say of this text in place of that one."""

from __future__ import annotations

from pathlib import Path

from finetune_fsm.errors import Problem
from finetune_fsm.improve.grants import parse_grants
from finetune_fsm.improve.policy import violations
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow

NOTHING_TESTED = Suite("w.yaml", ())


def workflow(text: str, folder: Path | None = None) -> Workflow:
    checked = check_text(text, folder=folder or Path())
    assert checked.workflow is not None, checked.problems
    return checked.workflow


def suite(*checks: Assertion, generated: bool = False, **inputs: str) -> Suite:
    return Suite("w.yaml", (Scenario("one", checks, inputs, generated=generated),))


def equals(target: str, value: str = "?") -> Assertion:
    return Assertion(AssertionType.EQUALS, value, target)


def reached(state: str) -> Assertion:
    return Assertion(AssertionType.STATE_REACHED, state)


def problems(
    old: str, new: str, *allowed: str, tests: Suite = NOTHING_TESTED, folder: Path | None = None
) -> tuple[Problem, ...]:
    grants = parse_grants(allowed)
    return violations(workflow(old, folder), workflow(new, folder), tests, grants)


def codes(
    old: str, new: str, *allowed: str, tests: Suite = NOTHING_TESTED, folder: Path | None = None
) -> list[str]:
    """The codes of all that is refused, in order."""
    return [p.code for p in problems(old, new, *allowed, tests=tests, folder=folder)]


def swapped(text: str, *pairs: str) -> str:
    """*text* with each first of a pair, which must be there, replaced by the second."""
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    return text
