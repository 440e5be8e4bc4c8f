"""Everything known of a run; `learning` says what an outcome adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from finetune_fsm.codec import digest
from finetune_fsm.errors import Problem
from finetune_fsm.improve.goals.metric import Metric
from finetune_fsm.improve.grants import STRUCTURE
from finetune_fsm.improve.model import Analysis, Attempt, Draft, Rejection
from finetune_fsm.improve.proposals import Means
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Flips, Sample
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.outcomes import (
    Ending,
)
from finetune_fsm.loop.settings import OnTie, Settings
from finetune_fsm.loop.trials import Candidate, IterationRecord, Trial, without
from finetune_fsm.scenarios.model import Suite, SuiteReport


@dataclass(frozen=True, slots=True)
class Run:
    """Everything known.

    Attributes:
        settings: What was asked for.
        original: The user's workflow, as text.
        iteration: 1-based.
        suite: The scenarios; None until prepared.
        tests: The file they are in.
        generated: Whether a model wrote them, for this run.
        weights: What the models' names stood for at the start, where a provider says.
        holdout: Indexes of the scenarios that no model is shown.
        candidates: On trial and not judged yet.
        snapshots: Where they are kept, in their order.
        laps: Their rollouts; empty until they ran.
        again: Further draws of the best that they were compared with.
        extra: Rollouts of the best on perturbed inputs.
        flips: How often further draws had another verdict.
        first: The user's workflow with its verdict; None until it is judged.
        best: The one to beat; None until the first is judged.
        analysis: Of the best; None when the best is new.
        attempt: What MODIFYING tried last; None when the plan was used up.
        tried: Attempts made on the present best.
        promising: Drafts that won where the present best, made beside them, did not.
        draft: The draft under check, or None.
        problems: What keeps the draft from being tried, while it may still be repaired.
        repairs: Times the model was shown them.
        waiting: Sound drafts of this iteration; they go on trial together.
        given_up: Times in this iteration that a model was asked for a draft in vain.
        refused: The drafts among them, and why.
        rejections: Drafts and candidates not kept, oldest first.
        trusting: Whether a person said to be asked about no more drafts.
        history: One row per iteration tested.
        confirmed: What further draws said of the best at the end, one sentence, or empty.
        goal: How well the user's workflow and the best met the goal at the end, or None.
        usage: LLM calls so far.
        ending: Why it is over, or None.
        output: Where the best was written, or None.
    """

    settings: Settings
    original: str
    iteration: int = 1
    suite: Suite | None = None
    tests: Path | None = None
    generated: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    holdout: tuple[int, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    snapshots: tuple[Path, ...] = ()
    laps: tuple[Lap, ...] = ()
    again: tuple[Sample, ...] = ()
    extra: tuple[Sample, ...] = ()
    flips: Flips = field(default_factory=Flips)
    first: Trial | None = None
    best: Trial | None = None
    analysis: Analysis | None = None
    attempt: Attempt | None = None
    tried: tuple[Attempt, ...] = ()
    promising: tuple[Draft, ...] = ()
    draft: Draft | None = None
    problems: tuple[Problem, ...] = ()
    repairs: int = 0
    waiting: tuple[Candidate, ...] = ()
    given_up: int = 0
    refused: tuple[Rejection, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    trusting: bool = False
    history: tuple[IterationRecord, ...] = ()
    confirmed: str = ""
    goal: tuple[Metric, Metric] | None = None
    usage: Usage = field(default_factory=Usage)
    ending: Ending | None = None
    output: Path | None = None
    message: str = ""

    @property
    def shown(self) -> SuiteReport:
        """How the best does on the scenarios that models may be shown; ValueError without one."""
        if self.best is None:
            raise ValueError("no workflow has been judged yet")
        return without(self.best.report, self.holdout)

    @property
    def solved(self) -> bool:
        """Whether the best passes every scenario that models may be shown."""
        return self.best is not None and self.shown.solved

    @property
    def means(self) -> Means:
        """What a plan for the present best can count on."""
        return Means(len(self.promising), STRUCTURE in self.settings.allow)

    @property
    def on_tie(self) -> OnTie:
        """Who decides between equals: what was asked for, or what fits the tests.

        A person's tests that look at texts say what is wanted. Tests that a model wrote, or that
        only look at the way, leave room for a judge.
        """
        if self.settings.on_tie is not None:
            return self.settings.on_tie
        scenarios = self.suite.scenarios if self.suite else ()
        looks = any(a.target for scenario in scenarios for a in scenario.assertions)
        return OnTie.KEEP if looks and not self.generated else OnTie.JUDGE

    @property
    def passed(self) -> bool:
        """Whether the best passes every scenario, those held out among them."""
        return self.best is not None and self.best.report.solved

    @property
    def content(self) -> bool:
        """Whether no candidate could be better: all passes, and ties keep what there is."""
        if self.best is None or self.settings.goal is not None:
            return False
        return self.passed and self.on_tie is OnTie.KEEP

    @property
    def mark(self) -> str:
        """A digest of what decides how the run goes on; equal after a replay, or rules changed."""
        best = (self.best.iteration, self.best.candidate.text) if self.best else None
        texts = tuple(c.text for c in (*self.candidates, *self.waiting))
        where = (self.iteration, best, texts, self.ending, self.attempt, self.tried, self.holdout)
        counts = (self.repairs, len(self.refused), len(self.rejections), len(self.history))
        return digest((where, counts, self.problems))

    @property
    def digests(self) -> frozenset[str]:
        """Of all documents that need not be tried again."""
        tried = {r.digest for r in self.rejections if r.digest}
        return frozenset(tried | {candidate.digest for candidate in self.waiting})
