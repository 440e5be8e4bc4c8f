"""Everything known of a run, and the one pure function that learns from an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import assert_never

from finetune_fsm.codec import digest
from finetune_fsm.errors import Problem
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.improve.changes import in_words
from finetune_fsm.improve.compare import Comparison
from finetune_fsm.improve.model import Analysis, Attempt, Draft, Rejection, Strategy
from finetune_fsm.improve.proposals import VARIANTS
from finetune_fsm.llm.base import Usage
from finetune_fsm.llm.meter import Budget
from finetune_fsm.loop.outcomes import (
    Analyzed,
    Checked,
    Ending,
    Finished,
    Interrupted,
    Modified,
    Outcome,
    Prepared,
    Ran,
    Saved,
    Tested,
)
from finetune_fsm.scenarios.model import Suite, SuiteReport
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.text import parse

REPAIRS = 1
"""Times that a model is shown the problems of one draft."""

DRAFTS = 8
"""Drafts refused in one iteration before the run gives up."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person asked for.

    Attributes:
        workflow: The file to improve; never written to.
        output: Where the best workflow goes.
        tests: The test file, or None to generate one.
        model: Name of the reflection LLM.
        max_iterations: Times round the loop, >= 1.
        seed: For sampling; the same seed and replies give the same run.
        jobs: Scenarios run at once, or None for what the server allows.
        budget: Calls, tokens and seconds that may be spent.
        allow: What drafts may do beyond what the original can, as `--allow` takes it.
    """

    workflow: Path
    output: Path
    tests: Path | None = None
    model: str = "gemma3:4b"
    max_iterations: int = 5
    seed: int = 0
    jobs: int | None = None
    budget: Budget = field(default_factory=Budget)
    allow: tuple[str, ...] = ()


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
    """A candidate with its verdict."""

    candidate: Candidate
    report: SuiteReport
    iteration: int


@dataclass(frozen=True, slots=True)
class IterationRecord:
    """A row of the history.

    Attributes:
        iteration: 1-based.
        passed: Scenarios passed by this iteration's candidate.
        total: Scenarios in the suite.
        accepted: Whether the candidate became the best.
        reason: Why.
        strategy: How it was made; empty for the user's own workflow.
        edits: What it changed.
        snapshot: Where it is kept.
        usage: LLM calls since the iteration before.
        comparison: With the best so far; None for the first.
    """

    iteration: int
    passed: int
    total: int
    accepted: bool
    reason: str
    strategy: str = ""
    edits: tuple[Edit, ...] = ()
    snapshot: Path | None = None
    usage: Usage = field(default_factory=Usage)
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Everything known.

    Attributes:
        settings: What was asked for.
        original: The user's workflow, as text.
        iteration: 1-based.
        suite: The scenarios; None until prepared.
        tests: The file they are in.
        weights: What the models' names stood for at the start, where a provider says.
        candidate: On trial and not judged yet, or None.
        snapshot: Where the candidate on trial is kept.
        rollouts: Of the candidate on trial; empty until it ran.
        best: The one to beat; None until the first is judged.
        analysis: Of the best; None when the best is new.
        attempt: What MODIFYING tried last; None when the plan was used up.
        tried: Attempts made on the present best.
        draft: The draft under check, or None.
        problems: What keeps the draft from being tried, while it may still be repaired.
        repairs: Times the model was shown them.
        refused: Drafts given up in this iteration.
        rejections: Drafts and candidates not kept, oldest first.
        history: One row per iteration tested.
        usage: LLM calls so far.
        ending: Why it is over, or None.
        output: Where the best was written, or None.
    """

    settings: Settings
    original: str
    iteration: int = 1
    suite: Suite | None = None
    tests: Path | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    candidate: Candidate | None = None
    snapshot: Path | None = None
    rollouts: tuple[Rollout, ...] = ()
    best: Trial | None = None
    analysis: Analysis | None = None
    attempt: Attempt | None = None
    tried: tuple[Attempt, ...] = ()
    draft: Draft | None = None
    problems: tuple[Problem, ...] = ()
    repairs: int = 0
    refused: int = 0
    rejections: tuple[Rejection, ...] = ()
    history: tuple[IterationRecord, ...] = ()
    usage: Usage = field(default_factory=Usage)
    ending: Ending | None = None
    output: Path | None = None
    message: str = ""

    @property
    def solved(self) -> bool:
        """Whether the best passes every scenario."""
        return self.best is not None and self.best.report.solved

    @property
    def mark(self) -> str:
        """A digest of what decides how the run goes on; equal after a replay, or rules changed."""
        best = (self.best.iteration, self.best.candidate.text) if self.best else None
        candidate = self.candidate.text if self.candidate else None
        where = (self.iteration, best, candidate, self.ending, self.attempt, self.tried)
        counts = (self.repairs, self.refused, len(self.rejections), len(self.history))
        return digest((where, counts, self.problems))

    @property
    def digests(self) -> frozenset[str]:
        """Of all documents that need not be tried again."""
        return frozenset(r.digest for r in self.rejections if r.digest)


def step_bound(run: Run) -> int:
    """Return how many steps *run* can take at most, from its start to the end. Pure."""
    per_draft = 3 + 2 * REPAIRS
    return 3 + run.settings.max_iterations * (3 + (DRAFTS + VARIANTS) * per_draft)


def advance(run: Run, outcome: Outcome) -> Run:
    """Return what is known after *outcome*. Pure; this is all the memory the loop has."""
    run = replace(run, usage=run.usage + outcome.usage)
    match outcome:
        case Prepared():
            return replace(
                run,
                suite=outcome.suite,
                tests=outcome.tests,
                weights=outcome.weights,
                rollouts=outcome.rollouts,
                candidate=Candidate(run.original),
            )
        case Saved():
            return replace(run, snapshot=outcome.path)
        case Ran():
            return replace(run, rollouts=outcome.rollouts)
        case Tested():
            return _tested(run, outcome)
        case Analyzed():
            content = run.solved and not (outcome.analysis.suggestions or outcome.analysis.repairs)
            ending = Ending.SOLVED if content else None
            return replace(run, analysis=outcome.analysis, ending=ending)
        case Modified():
            return _modified(run, outcome)
        case Checked():
            return _checked(run, outcome)
        case Finished():
            return replace(run, output=outcome.output)
        case Interrupted():
            return replace(run, ending=outcome.ending, message=outcome.message)
        case _ as never:
            assert_never(never)


def _tested(run: Run, outcome: Tested) -> Run:
    """Take the candidate as the new best, or go back to the one there is."""
    assert run.candidate is not None  # noqa: S101  # the table comes here only with a candidate
    draft = run.candidate.draft
    record = IterationRecord(
        iteration=run.iteration,
        passed=outcome.report.passed,
        total=outcome.report.total,
        accepted=outcome.accepted,
        reason=outcome.reason,
        strategy=draft.attempt.strategy.value if draft else "",
        edits=draft.edits if draft else (),
        snapshot=run.snapshot,
        usage=run.usage - sum((r.usage for r in run.history), Usage()),
        comparison=outcome.comparison,
    )
    spent = run.iteration >= run.settings.max_iterations
    known = replace(
        run,
        candidate=None,
        rollouts=(),
        refused=0,
        history=(*run.history, record),
        ending=Ending.ITERATIONS if spent else None,
    )
    if outcome.accepted:
        trial = Trial(run.candidate, outcome.report, run.iteration)
        return replace(known, best=trial, analysis=None, tried=())
    rejected = _rejection(draft, run.candidate.digest, outcome.reason) if draft else ()
    return replace(known, rejections=(*run.rejections, *rejected))


def _modified(run: Run, outcome: Modified) -> Run:
    again = bool(run.problems)
    tried = run.tried if again or outcome.attempt is None else (*run.tried, outcome.attempt)
    exhausted = Ending.SOLVED if run.solved else Ending.NOTHING_LEFT
    return replace(
        run,
        attempt=outcome.attempt,
        tried=tried,
        draft=outcome.draft,
        problems=outcome.problems,
        repairs=run.repairs + 1 if again else 0,
        ending=exhausted if outcome.attempt is None else None,
    )


def _checked(run: Run, outcome: Checked) -> Run:
    if run.attempt is None:
        return run
    if not outcome.problems:
        assert run.draft is not None  # noqa: S101  # no draft is a problem
        return replace(
            run,
            candidate=Candidate(run.draft.text, run.draft),
            iteration=run.iteration + 1,
            draft=None,
            problems=(),
        )
    if run.attempt.strategy is not Strategy.REPAIR and run.repairs < REPAIRS:
        return replace(run, problems=outcome.problems)
    rejected = _rejection(run.draft, "", outcome.problems[0].message, outcome.problems[0].code)
    weary = run.refused + 1 >= DRAFTS
    return replace(
        run,
        draft=None,
        problems=(),
        refused=run.refused + 1,
        rejections=(*run.rejections, *rejected),
        ending=Ending.NOTHING_LEFT if weary else None,
    )


def _rejection(
    draft: Draft | None, tried: str, reason: str, code: str = ""
) -> tuple[Rejection, ...]:
    if draft is None:
        return ()
    return (Rejection(draft.attempt, tried, in_words(draft.edits), reason, code),)
