"""Candidates, what became of them, and the rows of the history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from finetune_fsm.codec import digest
from finetune_fsm.improve.compare import Comparison
from finetune_fsm.improve.model import Draft, Rejection
from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.text import parse


@dataclass(frozen=True, slots=True)
class Candidate:
    """A workflow on trial.

    Attributes:
        text: Its whole YAML.
        draft: What made it; None for the user's own workflow.
    """

    text: str
    draft: Draft | None = None

    @property
    def digest(self) -> str:
        """Of its document: layout and comments do not count."""
        return digest(parse(self.text).document)


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate with its verdict on the whole suite."""

    candidate: Candidate
    report: SuiteReport
    iteration: int


@dataclass(frozen=True, slots=True)
class Score:
    """Scenarios passed of those that ran, and of all there are."""

    passed: int
    ran: int
    total: int


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One candidate of an iteration.

    Attributes:
        strategy: How it was made; empty for the user's own workflow.
        edits: What it changed.
        snapshot: Where it is kept.
        accepted: Whether it became the best.
        reason: Why.
        train: How it did on the scenarios that models may be shown.
        holdout: How it did on those that are held out.
        comparison: With the best before; None for the first.
    """

    strategy: str
    edits: tuple[Edit, ...]
    snapshot: Path
    accepted: bool
    reason: str
    train: Score
    holdout: Score
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class IterationRecord:
    """A row of the history.

    Attributes:
        iteration: 1-based.
        trials: The candidates, in the order in which they were made.
        passed: Scenarios that the best passes after it.
        total: Scenarios in the suite.
        refused: Drafts of this iteration that were not tried, and why.
        usage: LLM calls since the iteration before.
    """

    iteration: int
    trials: tuple[TrialRecord, ...]
    passed: int
    total: int
    refused: tuple[Rejection, ...] = ()
    usage: Usage = field(default_factory=Usage)

    @property
    def headline(self) -> TrialRecord:
        """The candidate that was accepted, else the first."""
        return next((trial for trial in self.trials if trial.accepted), self.trials[0])

    @property
    def accepted(self) -> bool:
        """Whether one became the best."""
        return self.headline.accepted


def without(report: SuiteReport, holdout: tuple[int, ...]) -> SuiteReport:
    """Return *report* without the scenarios of these indexes. Pure."""
    left_out = frozenset(holdout)
    kept = (result for index, result in enumerate(report.results) if index not in left_out)
    return replace(report, results=tuple(kept)) if holdout else report
