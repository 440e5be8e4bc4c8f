"""A test file and its verdicts as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.llm.base import Usage


class AssertionType(StrEnum):
    """The checks a scenario can make."""

    EQUALS = "equals"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    REGEX = "regex"
    STATE_REACHED = "state_reached"


class Verdict(StrEnum):
    """What a check said; *error* means that it could not be made, which is neither."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Assertion:
    """One check of a rollout.

    Attributes:
        type: What is checked.
        value: The wanted text, pattern or state.
        target: Variable that is looked at; empty for ``state_reached``.
        case_sensitive: Only for ``contains`` and ``not_contains``.
        regex: Whether `value` is a pattern; only for ``contains`` and ``not_contains``.
        description: For people.
    """

    type: AssertionType
    value: str
    target: str = ""
    case_sensitive: bool = True
    regex: bool = False
    description: str = ""

    @property
    def requirement(self) -> str:
        """The check in words, as a person would say it; never shows a pattern's syntax."""
        case = "" if self.case_sensitive else " (in any letter case)"
        match self.type:
            case AssertionType.EQUALS:
                return f"the answer must be exactly: {self.value}"
            case AssertionType.CONTAINS if not self.regex:
                return f"the answer must contain: {self.value}{case}"
            case AssertionType.NOT_CONTAINS if not self.regex:
                return f"the answer must not contain: {self.value}{case}"
            case AssertionType.STATE_REACHED:
                return f"the run must reach the state '{self.value}'"
            case _:
                return self.description or "the answer must have the required form"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test of a workflow.

    Attributes:
        name: Unique within its suite.
        assertions: At least one, in file order.
        inputs: Answer by name of input state; used at every visit of that state.
        description: For people.
        generated: Whether a model wrote it.
    """

    name: str
    assertions: tuple[Assertion, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Suite:
    """All scenarios of one test file.

    Attributes:
        workflow: Path of the workflow as the file names it.
        scenarios: At least one, in file order.
    """

    workflow: str
    scenarios: tuple[Scenario, ...]


@dataclass(frozen=True, slots=True)
class AssertionResult:
    """One check, made.

    Attributes:
        assertion: The check.
        verdict: What it said.
        message: Why, one sentence.
        actual: What was there instead; None when there was nothing to look at.
    """

    assertion: Assertion
    verdict: Verdict
    message: str = ""
    actual: str | None = None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One scenario, run and judged.

    Attributes:
        scenario: The scenario.
        rollout: What happened.
        verdict: Passed when the run completed and all assertions passed; error when an assertion
            could not be made and none failed.
        assertions: One per assertion, in order.
        error: Why the run failed, or empty.
    """

    scenario: Scenario
    rollout: Rollout
    verdict: Verdict
    assertions: tuple[AssertionResult, ...] = ()
    error: str = ""

    def without_texts(self) -> ScenarioResult:
        """Return the same without the rollout's texts; what the assertions looked at stays."""
        return replace(self, rollout=self.rollout.without_texts())

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return self.verdict is Verdict.PASSED

    @property
    def failures(self) -> tuple[AssertionResult, ...]:
        """The assertions that did not pass, in order."""
        return tuple(r for r in self.assertions if r.verdict is not Verdict.PASSED)


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """A workflow's verdict on a whole suite.

    Attributes:
        results: One per scenario, in suite order.
        seconds: Wall time of the evaluation.
    """

    results: tuple[ScenarioResult, ...]
    seconds: float = 0.0

    @property
    def passed(self) -> int:
        """How many scenarios passed."""
        return sum(result.passed for result in self.results)

    @property
    def total(self) -> int:
        """How many scenarios there are."""
        return len(self.results)

    @property
    def pass_rate(self) -> float:
        """Passed ÷ all scenarios, 0..1."""
        return self.passed / self.total if self.results else 0.0

    @property
    def solved(self) -> bool:
        """Whether every scenario passed."""
        return self.passed == self.total

    @property
    def usage(self) -> Usage:
        """LLM calls of all rollouts."""
        return sum((result.rollout.usage for result in self.results), Usage())
