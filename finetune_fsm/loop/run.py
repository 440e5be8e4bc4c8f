"""Everything known of a run, and the one pure function that learns from an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from finetune_fsm.codec import digest
from finetune_fsm.errors import Problem
from finetune_fsm.improve.changes import in_words
from finetune_fsm.improve.compare import Comparison
from finetune_fsm.improve.goals.goal import Goal
from finetune_fsm.improve.goals.metric import Metric
from finetune_fsm.improve.grants import STRUCTURE
from finetune_fsm.improve.model import Analysis, Attempt, Draft, Rejection
from finetune_fsm.improve.proposals import REPAIRS_TRIED, Means, next_attempt
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Flips, Sample
from finetune_fsm.llm.base import Usage
from finetune_fsm.llm.meter import Budget
from finetune_fsm.loop.outcomes import (
    Analyzed,
    Checked,
    Confirmed,
    Ending,
    Finished,
    Interrupted,
    Modified,
    Outcome,
    Prepared,
    Ran,
    Saved,
    Tested,
    Tried,
)
from finetune_fsm.scenarios.model import Suite, SuiteReport
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.text import parse

REPAIRS = 1
"""Times that a model is shown the problems of one draft."""

DRAFTS = 8
"""Drafts refused in one iteration before it ends."""


REPEATED = frozenset({"no_change", "tried_before"})
"""Problems of a draft that is not new."""


class OnTie(StrEnum):
    """What decides between two workflows that pass the same tests."""

    JUDGE = "judge"
    KEEP = "keep"


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
        candidates: Drafts on trial in one iteration, >= 1.
        repeat: Rollouts of every scenario; the majority decides.
        holdout: Share of the scenarios that no model is shown; None for a third of six or more.
        on_tie: Who decides when verdicts do not; None for what fits the tests, see `Run.on_tie`.
        goal: What is wanted besides tests that pass, or None.
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
    candidates: int = 3
    repeat: int = 1
    holdout: float | None = None
    on_tie: OnTie | None = None
    goal: Goal | None = None
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


def without(report: SuiteReport, holdout: tuple[int, ...]) -> SuiteReport:
    """Return *report* without the scenarios of these indexes. Pure."""
    kept = (result for index, result in enumerate(report.results) if index not in holdout)
    return replace(report, results=tuple(kept)) if holdout else report


def step_bound(run: Run) -> int:
    """Return how many steps *run* can take at most, from its start to the end. Pure."""
    per_draft = 3 + 2 * REPAIRS
    drafts = DRAFTS + REPAIRS_TRIED + run.settings.candidates + 2
    return 4 + run.settings.max_iterations * (4 + drafts * per_draft)


def advance(run: Run, outcome: Outcome) -> Run:  # noqa: C901  # one case per outcome
    """Return what is known after *outcome*. Pure; this is all the memory the loop has."""
    run = replace(run, usage=run.usage + outcome.usage)
    match outcome:
        case Prepared():
            return replace(
                run,
                suite=outcome.suite,
                tests=outcome.tests,
                generated=outcome.generated,
                weights=outcome.weights,
                laps=(Lap(outcome.samples),) if outcome.samples else (),
                candidates=(Candidate(run.original),),
            )
        case Saved():
            return replace(run, snapshots=outcome.paths)
        case Ran():
            return replace(run, laps=outcome.laps, again=outcome.again, extra=outcome.extra)
        case Tested():
            return _tested(run, outcome)
        case Analyzed():
            return _analyzed(run, outcome)
        case Modified():
            return _modified(run, outcome)
        case Checked():
            return _checked(run, outcome)
        case Confirmed():
            return _confirmed(run, outcome)
        case Finished():
            return replace(run, output=outcome.output)
        case Interrupted():
            return replace(run, ending=outcome.ending, message=outcome.message)
        case _ as never:
            assert_never(never)


def _tested(run: Run, outcome: Tested) -> Run:
    """Take one of the candidates as the new best, or go back to the one there is."""
    spent = run.iteration >= run.settings.max_iterations
    known = replace(
        run,
        candidates=(),
        snapshots=(),
        laps=(),
        again=(),
        extra=(),
        refused=(),
        holdout=outcome.holdout if run.best is None else run.holdout,
        flips=run.flips + outcome.flips,
        ending=Ending.ITERATIONS if spent else None,
    )
    rejected: list[Rejection] = []
    for candidate, tried in zip(run.candidates, outcome.trials, strict=True):
        if tried.accepted:
            best = Trial(candidate, tried.report, run.iteration)
            known = replace(
                known,
                best=best,
                first=run.first or best,
                analysis=None,
                tried=(),
                promising=_promising(run, outcome, tried),
            )
        elif candidate.draft:
            rejected.append(_rejection(candidate.draft, tried.reason, candidate.digest))
    known = replace(known, rejections=(*run.rejections, *rejected))
    return replace(known, history=(*run.history, _record(run, known, outcome)))


def _promising(run: Run, outcome: Tested, chosen: Tried) -> tuple[Draft, ...]:
    """The drafts that fixed what *chosen* did not; they may be made in it, too."""
    if chosen.comparison is None:
        return ()
    won = set(chosen.comparison.wins)
    return tuple(
        candidate.draft
        for candidate, tried in zip(run.candidates, outcome.trials, strict=True)
        if candidate.draft and tried.comparison and set(tried.comparison.wins) - won
    )


def _record(before: Run, after: Run, outcome: Tested) -> IterationRecord:
    rows = zip(before.candidates, before.snapshots, outcome.trials, strict=True)
    return IterationRecord(
        iteration=before.iteration,
        trials=tuple(
            TrialRecord(
                strategy=candidate.draft.attempt.strategy.value if candidate.draft else "",
                edits=candidate.draft.edits if candidate.draft else (),
                snapshot=path,
                accepted=tried.accepted,
                reason=tried.reason,
                train=_score(after, tried, held=False),
                holdout=_score(after, tried, held=True),
                comparison=tried.comparison,
            )
            for candidate, path, tried in rows
        ),
        passed=after.best.report.passed if after.best else 0,
        total=len(after.suite.scenarios) if after.suite else 0,
        refused=before.refused,
        usage=before.usage - sum((r.usage for r in before.history), Usage()),
    )


def _score(run: Run, tried: Tried, *, held: bool) -> Score:
    assert run.suite is not None  # noqa: S101  # the table comes here only with a suite
    names = [scenario.name for scenario in run.suite.scenarios]
    wanted = {name for index, name in enumerate(names) if (index in run.holdout) is held}
    ran = [result for result in tried.report.results if result.scenario.name in wanted]
    return Score(sum(result.passed for result in ran), len(ran), len(wanted))


def _analyzed(run: Run, outcome: Analyzed) -> Run:
    analysis = outcome.analysis
    ending = None
    ideas = analysis.suggestions or analysis.repairs or analysis.suspects
    if run.solved and analysis.asked and not ideas:
        ending = Ending.SOLVED if run.passed else Ending.NOTHING_LEFT
    elif run.content:
        ending = Ending.PASSED
    return replace(run, analysis=analysis, ending=ending)


def _modified(run: Run, outcome: Modified) -> Run:
    again = bool(run.problems)
    tried = run.tried if again or outcome.attempt is None else (*run.tried, outcome.attempt)
    run = replace(
        run,
        attempt=outcome.attempt,
        tried=tried,
        draft=outcome.draft,
        problems=outcome.problems,
        repairs=run.repairs + 1 if again else 0,
    )
    return _on_trial(run) if outcome.attempt is None else run


def _checked(run: Run, outcome: Checked) -> Run:
    if run.attempt is None:
        return run
    if _repairable(run, run.attempt, outcome):
        return replace(run, problems=outcome.problems)
    if outcome.problems:
        first = outcome.problems[0]
        rejected = _rejection(run.draft, first.message, code=first.code) if run.draft else None
        kept = (rejected,) if rejected else ()
        run = replace(
            run,
            refused=(*run.refused, *kept),
            rejections=(*run.rejections, *kept),
            given_up=run.given_up + (not run.attempt.free),
        )
    else:
        assert run.draft is not None  # noqa: S101  # no draft is a problem
        run = replace(run, waiting=(*run.waiting, Candidate(run.draft.text, run.draft)))
    run = replace(run, draft=None, problems=())
    return _on_trial(run) if _complete(run) else run


def _repairable(run: Run, attempt: Attempt, outcome: Checked) -> bool:
    """Whether the model is shown what is wrong: not what it repeats, that it would once more."""
    if not outcome.problems or attempt.free or run.repairs >= REPAIRS:
        return False
    return outcome.problems[0].code not in REPEATED


def _complete(run: Run) -> bool:
    """Whether this iteration's field is as large as it gets.

    A model is asked for as many drafts as may go on trial; what comes to nothing counts, once
    there is one that does not.
    """
    assert run.analysis is not None  # noqa: S101  # the table comes here only after an analysis
    waiting, asked = len(run.waiting), len(run.waiting) + run.given_up
    if waiting >= run.settings.candidates or run.given_up >= DRAFTS:
        return True
    if waiting and asked >= run.settings.candidates:
        return True
    following = next_attempt(run.analysis, run.tried, run.means)
    # What costs no call is tried before a model is asked for more.
    return (
        bool(run.waiting)
        and (following is None or not following.free)
        and all(
            candidate.draft is not None and candidate.draft.attempt.free
            for candidate in run.waiting
        )
    )


def _on_trial(run: Run) -> Run:
    """Send the field on its way, or end if there is none and nothing is left to try."""
    assert run.analysis is not None  # noqa: S101  # the table comes here only after an analysis
    if run.waiting:
        return replace(
            run,
            candidates=run.waiting,
            waiting=(),
            given_up=0,
            iteration=run.iteration + 1,
        )
    if run.analysis.asked or run.given_up >= DRAFTS:
        return replace(run, ending=Ending.SOLVED if run.passed else Ending.NOTHING_LEFT)
    return run


def _confirmed(run: Run, outcome: Confirmed) -> Run:
    counted = run.flips + outcome.flips
    run = replace(run, flips=counted, confirmed=outcome.reason, goal=outcome.goal)
    return run if outcome.held else replace(run, best=run.first, ending=Ending.NOTHING_LEFT)


def _rejection(draft: Draft, reason: str, tried: str = "", *, code: str = "") -> Rejection:
    return Rejection(draft.attempt, tried, in_words(draft.edits), reason, code)
