"""A test file and its verdicts as frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction

from finetune_fsm.codec import LATER
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.knowledge.model import Given
from finetune_fsm.llm.base import Usage
from finetune_fsm.tools.scripted import ScriptedTool

SIMILAR = 0.8
"""How alike two texts must be for ``similarity`` where it does not say."""


class AssertionType(StrEnum):
    """The checks a scenario can make."""

    EQUALS = "equals"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    REGEX = "regex"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    ONE_OF = "one_of"
    CONTAINS_ALL = "contains_all"
    CONTAINS_ANY = "contains_any"
    LENGTH = "length"
    NUMERIC = "numeric"
    SIMILARITY = "similarity"
    IS_JSON = "is_json"
    JSON_PATH = "json_path"
    LLM_RUBRIC = "llm_rubric"
    STATE_REACHED = "state_reached"
    STATE_NOT_REACHED = "state_not_reached"
    PATH = "path"
    VISITS = "visits"
    TOKENS = "tokens"
    LLM_CALLS = "llm_calls"
    LATENCY = "latency"
    TOOL_CALLED = "tool_called"
    TOOL_NOT_CALLED = "tool_not_called"
    TOOL_ARGS = "tool_args"


RUN_TYPES = frozenset(
    {
        AssertionType.STATE_REACHED,
        AssertionType.STATE_NOT_REACHED,
        AssertionType.PATH,
        AssertionType.VISITS,
        AssertionType.TOKENS,
        AssertionType.LLM_CALLS,
        AssertionType.LATENCY,
        AssertionType.TOOL_CALLED,
        AssertionType.TOOL_NOT_CALLED,
        AssertionType.TOOL_ARGS,
    }
)
"""Those that look at the run, not at a variable: they have no target."""


class Verdict(StrEnum):
    """What a check said; *error* means that it could not be made, which is neither."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


class Unit(StrEnum):
    """What the length of a text is counted in; tokens are estimated, three bytes each."""

    CHARACTERS = "characters"
    WORDS = "words"
    LINES = "lines"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Assertion:
    """One check of a rollout.

    Attributes:
        type: What is checked.
        value: The wanted text, pattern, state, number or rule; of ``json_path`` the wanted value as
            JSON, or empty where any will do.
        target: Variable that is looked at; empty for the types in `RUN_TYPES`.
        case_sensitive: Only for types that look for a text.
        regex: Whether `value` is a pattern; only for ``contains`` and ``not_contains``.
        description: For people.
        negated: Whether it shall not hold.
        weight: Its share of the scenario's score, above 0.
        values: The texts of ``one_of``, ``contains_all`` and ``contains_any``, the states of
            ``path``.
        schema: Of ``is_json``: a JSON Schema as JSON, or empty.
        path: Of ``json_path``: where to look.
        least: Smallest number allowed, of ``length`` and ``visits``.
        most: Largest number allowed; of ``latency`` in seconds.
        unit: Of ``length``.
        tolerance: Of ``numeric``: how far off the number may be, >= 0.
        threshold: Of ``similarity``: 0..1.
        exact: Of ``path``: whether these states are all there may be.
        model: Of ``llm_rubric``: who judges; empty for the workflow's own model.
        arguments: Of ``tool_args``: what must be among a call's arguments, as JSON.
    """

    type: AssertionType
    value: str = ""
    target: str = ""
    case_sensitive: bool = True
    regex: bool = False
    description: str = ""
    negated: bool = False
    weight: float = 1.0
    values: tuple[str, ...] = ()
    schema: str = ""
    path: str = ""
    least: float | None = None
    most: float | None = None
    unit: Unit = Unit.CHARACTERS
    tolerance: float = 0.0
    threshold: float = SIMILAR
    exact: bool = False
    model: str = ""
    arguments: str = field(default="", metadata=LATER)

    @property
    def requirement(self) -> str:
        """The check in words, as a person would say it; never shows a pattern's syntax."""
        from finetune_fsm.scenarios.requirements import in_words  # it needs this module

        return in_words(self)

    @property
    def is_pattern(self) -> bool:
        """Whether `value` is a pattern."""
        return self.regex or self.type is AssertionType.REGEX

    @property
    def wanted_states(self) -> tuple[str, ...]:
        """States without which it cannot hold."""
        match self.type:
            case AssertionType.STATE_REACHED if not self.negated:
                return (self.value.strip(),)
            case AssertionType.STATE_NOT_REACHED if self.negated:
                return (self.value.strip(),)
            case AssertionType.VISITS if not self.negated and (self.least or 0) >= 1:
                return (self.value.strip(),)
            case AssertionType.PATH if not self.negated:
                return tuple(value.strip() for value in self.values)
            case _:
                return ()

    @property
    def states(self) -> tuple[str, ...]:
        """All states that it names."""
        if self.type is AssertionType.PATH:
            return tuple(value.strip() for value in self.values)
        named = (
            AssertionType.STATE_REACHED,
            AssertionType.STATE_NOT_REACHED,
            AssertionType.VISITS,
        )
        return (self.value.strip(),) if self.type in named else ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test of a workflow.

    Attributes:
        name: Unique within its suite.
        assertions: At least one, in file order.
        inputs: Answer by name of input state; used at every visit of that state.
        description: For people.
        generated: Whether a model wrote it.
        pass_score: Share of the assertions, by weight, that must hold; above 0, at most 1.
        repeat: How often it is run, 1 or more.
        pass_rate: Share of those runs that must pass; above 0, at most 1.
        tools: What tools give back, or None to start the workflow's servers.
        documents: What stands for the search of any knowledge base, or None to search.
    """

    name: str
    assertions: tuple[Assertion, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    generated: bool = False
    pass_score: float = 1.0
    repeat: int = 1
    pass_rate: float = 1.0
    tools: tuple[ScriptedTool, ...] | None = field(default=None, metadata=LATER)
    documents: tuple[Given, ...] | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, slots=True)
class Suite:
    """All scenarios of one test file.

    Attributes:
        workflow: Path of the workflow as the file names it.
        scenarios: At least one, in file order.
    """

    workflow: str
    scenarios: tuple[Scenario, ...]


def share(weighed: Iterable[tuple[float, bool]]) -> Fraction:
    """Return what part of the weights, each above 0, is marked; all of none. Pure.

    Exact, and of the decimal numbers that a person wrote: 0.7 of 0.7 and 0.3 is seven tenths.
    """
    parts = [(Fraction(str(weight)), marked) for weight, marked in weighed]
    total = sum((weight for weight, _ in parts), Fraction())
    met = sum((weight for weight, marked in parts if marked), Fraction())
    return met / total if parts else Fraction(1)


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
        verdict: Passed when the run completed and all assertions passed, or as many as the
            scenario's `pass_score` asks for; error when it depends on one that could not be made.
            Of several draws as many must pass as the scenario's `pass_rate` asks for.
        assertions: One per assertion, in order; of several draws those of `rollout` itself.
        error: Why the run failed, or empty.
        draws: The verdict of each draw, where there are several.
    """

    scenario: Scenario
    rollout: Rollout
    verdict: Verdict
    assertions: tuple[AssertionResult, ...] = ()
    error: str = ""
    draws: tuple[Verdict, ...] = ()

    def without_texts(self) -> ScenarioResult:
        """Return the same without the rollout's texts; what the assertions looked at stays."""
        return replace(self, rollout=self.rollout.without_texts())

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return self.verdict is Verdict.PASSED

    @property
    def passed_draws(self) -> int:
        """How many draws passed."""
        return self.draws.count(Verdict.PASSED)

    @property
    def failures(self) -> tuple[AssertionResult, ...]:
        """The assertions that did not pass, in order."""
        return tuple(r for r in self.assertions if r.verdict is not Verdict.PASSED)

    @property
    def score(self) -> float:
        """Share of the assertions that passed, by weight, 0..1; 0 when none was made."""
        weighed = [(r.assertion.weight, r.verdict is Verdict.PASSED) for r in self.assertions]
        return float(share(weighed)) if weighed else 0.0


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
        """LLM calls of all rollouts, their judges among them."""
        return sum((result.rollout.spent for result in self.results), Usage())
