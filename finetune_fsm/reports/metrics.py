"""What a run did and what it took, as frozen values; `measuring` makes them of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from finetune_fsm.improve.compare import Comparison
from finetune_fsm.improve.model import Strategy
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.trials import Score
from finetune_fsm.scenarios.statistics import Interval, wilson

Counts = tuple[tuple[str, int], ...]
"""How often each name came; the most frequent first, then by name."""


@dataclass(frozen=True, slots=True)
class CandidateMetrics:
    """A workflow on trial, and what became of it.

    Attributes:
        strategy: How it was made; empty for the user's own workflow.
        change: What it changed, in words.
        accepted: Whether it became the best.
        reason: Why, or why not.
        train: Of the scenarios that models may be shown.
        holdout: Of those that are held out.
        rollouts: Runs that it took, draws of the same scenario and perturbed inputs counted.
        comparison: With the best before, on the scenarios that it ran on; None for the first.
        usage: What its rollouts took, as if nothing of it had been asked before.
    """

    strategy: str
    change: str
    accepted: bool
    reason: str
    train: Score
    holdout: Score
    rollouts: int
    comparison: Comparison | None
    usage: Usage

    @property
    def ran(self) -> int:
        """Scenarios that it ran on."""
        return self.train.ran + self.holdout.ran

    @property
    def total(self) -> int:
        """Scenarios in the suite."""
        return self.train.total + self.holdout.total


@dataclass(frozen=True, slots=True)
class StateMetrics:
    """What was spent in one state of the loop, in so many steps."""

    state: LoopState
    steps: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class IterationMetrics:
    """What happened from one test of candidates to the next.

    Attributes:
        iteration: 1-based.
        tested: Whether it came to its test; only the last may not have: it holds what was spent
            since, be the run over or not.
        train: Of the best after it, on the scenarios that models may be shown; None without one.
        holdout: The same of those that are held out.
        candidates: Those on trial, in the order in which they were made.
        refused: Codes of what CHECKING turned down, answers that made no draft among them.
        states: What was spent, by state of the loop, in the order of the table.
        lost: Requests that broke off when a session ended, and were made again.
    """

    iteration: int
    tested: bool
    train: Score | None
    holdout: Score | None
    candidates: tuple[CandidateMetrics, ...] = ()
    refused: Counts = ()
    states: tuple[StateMetrics, ...] = ()
    lost: Usage = field(default_factory=Usage)

    @property
    def usage(self) -> Usage:
        """What was spent in all states."""
        return sum((state.usage for state in self.states), Usage())


@dataclass(frozen=True, slots=True)
class StrategyMetrics:
    """What a way of making drafts came to.

    Attributes:
        strategy: The way.
        attempts: Times that it was tried, a draft's repair by the model being one more.
        drafts: Drafts that came of it.
        refused: Those that CHECKING turned down.
        tried: Those that went on trial.
        accepted: Those that became the best.
        usage: What making drafts took.
        rollouts: What those on trial took, as if nothing of it had been asked before.
    """

    strategy: Strategy
    attempts: int = 0
    drafts: int = 0
    refused: int = 0
    tried: int = 0
    accepted: int = 0
    usage: Usage = field(default_factory=Usage)
    rollouts: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class WorkflowStateMetrics:
    """A state of the workflow, in all rollouts of the best and of the candidates.

    Attributes:
        state: Name, as in the trace.
        visits: Times that it was entered.
        errors: Visits that failed.
        usage: What they took, as if nothing of it had been asked before.
        ways: States that a model chose to follow, and how often.
    """

    state: str
    visits: int
    errors: int
    usage: Usage
    ways: Counts = ()


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """A whole run, or what there is of it so far.

    Attributes:
        iterations: In order.
        states: What was spent, by state of the loop, in the order of the table.
        strategies: Those that were tried, in the order in which `Strategy` names them.
        workflow_states: Of the workflow, in the order in which they were first visited; without
            CONFIRMING's rollouts, of which only the verdicts are kept.
        lost: Requests that broke off when a session ended, and were made again.
    """

    iterations: tuple[IterationMetrics, ...] = ()
    states: tuple[StateMetrics, ...] = ()
    strategies: tuple[StrategyMetrics, ...] = ()
    workflow_states: tuple[WorkflowStateMetrics, ...] = ()
    lost: Usage = field(default_factory=Usage)

    @property
    def usage(self) -> Usage:
        """What was spent in all states; with `lost` it is what the run knows of."""
        return sum((state.usage for state in self.states), Usage())


def rate(score: Score) -> float | None:
    """Return passed ÷ run scenarios, 0..1; None when none ran. Pure."""
    return score.passed / score.ran if score.ran else None


def interval(score: Score) -> Interval | None:
    """Return where the pass rate may well be, 95 % sure; None when none ran. Pure."""
    return wilson(score.passed, score.ran) if score.ran else None
