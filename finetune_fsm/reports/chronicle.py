"""What happened in a run, iteration by iteration, as the page tells it; all from its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from finetune_fsm.errors import Problem
from finetune_fsm.improve.changes import in_words
from finetune_fsm.improve.model import Analysis
from finetune_fsm.improve.samples import verdicts
from finetune_fsm.loop.outcomes import Analyzed, Checked, Tested
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
        why: What it was meant to do, or empty.
        parent: Text of the best that it grew from; empty for the user's own workflow.
        text: Its own.
        results: The majority's verdict by index of scenario, of those that it ran on.
        draws: How many passed, and of how many, by index of scenario.
    """

    label: str
    record: TrialRecord
    why: str
    parent: str
    text: str
    results: Mapping[int, ScenarioResult]
    draws: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A draft that CHECKING turned down, or an answer without one.

    Attributes:
        strategy: How it was made.
        change: What it would have changed, in words; empty without a draft.
        problems: All that is wrong with it.
    """

    strategy: str
    change: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """What happened from one test of candidates to the next.

    Attributes:
        number: 1-based.
        analyses: Of the best before, made in it.
        refusals: In order.
        trials: In order; empty when it did not come to its test.
        path: States of the loop, in order.
    """

    number: int
    analyses: tuple[Analysis, ...]
    refusals: tuple[Refusal, ...]
    trials: tuple[Trial, ...]
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
        tuple(step.entry.state for step in steps),
    )


def _refusals(steps: Sequence[Step]) -> Iterator[Refusal]:
    for step in steps:
        outcome, before = step.entry.outcome, step.before
        if isinstance(outcome, Checked) and outcome.problems:
            yield Refusal(
                before.attempt.strategy.value if before.attempt else "",
                in_words(before.draft.edits) if before.draft else "",
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
            candidate.draft.why if candidate.draft else "",
            before.best.candidate.text if before.best and candidate.draft else "",
            candidate.text,
            verdicts(pairs),
            draws,
        )
