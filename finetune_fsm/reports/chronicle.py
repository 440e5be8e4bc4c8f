"""What happened in a run, iteration by iteration; all from its steps, all pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from finetune_fsm.errors import Problem
from finetune_fsm.improve.changes import in_words
from finetune_fsm.improve.model import Analysis, Draft
from finetune_fsm.improve.samples import verdicts
from finetune_fsm.loop.outcomes import Analyzed, Checked, Tested
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.trials import TrialRecord
from finetune_fsm.reports.measuring import Step
from finetune_fsm.scenarios.model import ScenarioResult


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate and what became of it.

    Attributes:
        label: Such as ``3b``.
        record: Its row of the history.
        draft: What made it; None for the user's own workflow.
        parent: Text of the best that it grew from; empty for the user's own workflow.
        text: Its own.
        results: The majority's verdict by index of scenario, of those that it ran on.
        draws: How many passed, and of how many, by index of scenario.
    """

    label: str
    record: TrialRecord
    draft: Draft | None
    parent: str
    text: str
    results: Mapping[int, ScenarioResult]
    draws: Mapping[int, tuple[int, int]]

    @property
    def why(self) -> str:
        """What it was meant to do, or empty."""
        return self.draft.why if self.draft else ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A draft that CHECKING turned down, or an answer without one.

    Attributes:
        strategy: How it was made.
        draft: The draft, as a person edited it, if one did; None for an answer without one.
        parent: Text of the best that it grew from.
        problems: All that is wrong with it.
    """

    strategy: str
    draft: Draft | None
    parent: str
    problems: tuple[Problem, ...]

    @property
    def change(self) -> str:
        """What it would have changed, in words; empty without a draft."""
        return in_words(self.draft.edits) if self.draft else ""


@dataclass(frozen=True, slots=True)
class Round:
    """What happened from one test of candidates to the next.

    Attributes:
        number: 1-based.
        analyses: Of the best before, made in it.
        refusals: In order.
        trials: In order; empty when it did not come to its test.
        waiting: Drafts that were not tried when the run ended, or are about to be.
        best: Text of the best after it; empty without one.
        path: States of the loop, in order.
    """

    number: int
    analyses: tuple[Analysis, ...]
    refusals: tuple[Refusal, ...]
    trials: tuple[Trial, ...]
    waiting: tuple[Draft, ...]
    best: str
    path: tuple[LoopState, ...]

    @property
    def headline(self) -> Trial | None:
        """The candidate that was kept, else the first."""
        return next((trial for trial in self.trials if trial.record.accepted),
                    self.trials[0] if self.trials else None)  # fmt: skip


def rounds_of(steps: Sequence[Step]) -> tuple[Round, ...]:
    """Return the rounds that *steps* make; what came after the last test is one more. Pure."""
    found: dict[int, list[Step]] = {}
    for step in steps:
        found.setdefault(len(step.before.history), []).append(step)
    return tuple(_round(index + 1, mine) for index, mine in sorted(found.items()))


def _round(number: int, steps: Sequence[Step]) -> Round:
    return Round(
        number,
        tuple(
            step.entry.outcome.analysis
            for step in steps
            if isinstance(step.entry.outcome, Analyzed) and step.entry.outcome.fresh
        ),
        tuple(_refusals(steps)),
        tuple(trial for step in steps for trial in _trials(number, step)),
        tuple(_waiting(steps[-1].after)),
        _best(steps[-1].after),
        tuple(step.entry.state for step in steps),
    )


def _waiting(run: Run) -> Iterator[Draft]:
    """The drafts that nothing has been said of yet; none after a test."""
    for candidate in (*run.candidates, *run.waiting):
        if candidate.draft is not None:
            yield candidate.draft
    if run.draft is not None and not run.problems:  # with problems it is among the refused
        yield run.draft


def _best(run: Run) -> str:
    """The text of the best so far, which every draft grows from."""
    return run.best.candidate.text if run.best else ""


def _refusals(steps: Sequence[Step]) -> Iterator[Refusal]:
    for step in steps:
        outcome, before = step.entry.outcome, step.before
        if isinstance(outcome, Checked) and outcome.problems:
            draft = outcome.draft or before.draft
            attempt = draft.attempt if draft else before.attempt
            yield Refusal(
                attempt.strategy.value if attempt else "",
                draft,
                _best(before),
                outcome.problems,
            )


def _trials(number: int, step: Step) -> Iterator[Trial]:
    outcome, before = step.entry.outcome, step.before
    if not isinstance(outcome, Tested):
        return
    records = step.after.history[-1].trials
    rows = zip(records, before.candidates, before.laps, outcome.trials, strict=True)
    for place, (record, candidate, lap, tried) in enumerate(rows):
        pairs = [(s.scenario, r) for s, r in zip(lap.samples, tried.results, strict=True)]
        draws: dict[int, tuple[int, int]] = {}
        for index, result in pairs:
            passed, many = draws.get(index, (0, 0))
            draws[index] = (passed + result.passed, many + 1)
        letter = ascii_lowercase[place % 26] if len(records) > 1 else ""
        yield Trial(
            f"{number}{letter}",
            record,
            candidate.draft,
            _best(before) if candidate.draft else "",
            candidate.text,
            verdicts(pairs),
            draws,
        )
