"""A run's metrics, counted from its steps: nothing of them is stored twice.

Everything follows from the journaled outcomes, so a run that was killed and resumed has the
metrics of one that nobody disturbed, but for its seconds. All of it is pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.errors import Problem
from finetune_fsm.execution.rollout import Visit
from finetune_fsm.improve.changes import in_words
from finetune_fsm.improve.model import Strategy
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Sample, usage_of
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.learning import advance
from finetune_fsm.loop.machine import Entry
from finetune_fsm.loop.outcomes import Checked, Modified, Prepared, Ran, Tested
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.trials import Score, TrialRecord
from finetune_fsm.reports.metrics import (
    CandidateMetrics,
    Counts,
    IterationMetrics,
    RunMetrics,
    StateMetrics,
    StrategyMetrics,
    WorkflowStateMetrics,
)


@dataclass(frozen=True, slots=True)
class Step:
    """An entry between what was known before and after it."""

    before: Run
    entry: Entry
    after: Run


def metrics_of(run: Run, entries: Sequence[Entry]) -> RunMetrics:
    """Return the metrics of *run*, which is what is known after *entries*. Pure."""
    steps = tuple(steps_of(run, entries))
    return RunMetrics(
        iterations=tuple(_iterations(run, steps)),
        states=_states(steps),
        strategies=tuple(_strategies(steps)),
        workflow_states=_workflow_states(steps),
        lost=_lost(run.usage, steps),
    )


def steps_of(run: Run, entries: Sequence[Entry]) -> Iterator[Step]:
    """Yield *entries* of *run*, each with what was known before and after it. Pure."""
    known = Run(run.settings, run.original)
    for entry in entries:
        before, known = known, advance(known, entry.outcome)
        yield Step(before, entry, known)


def _iterations(run: Run, steps: Sequence[Step]) -> Iterator[IterationMetrics]:
    found: Mapping[int, list[Step]] = defaultdict(list)
    for step in steps:
        found[len(step.before.history)].append(step)
    for index, record in enumerate(run.history):
        mine = found[index]
        yield _iteration(index, mine, mine[-1].after, _lost(record.usage, mine))
    rest, known = found[len(run.history)], _sum(record.usage for record in run.history)
    lost = _lost(run.usage - known, rest)
    if rest or lost.requests:
        yield _iteration(len(run.history), rest, run, lost)


def _iteration(index: int, steps: Sequence[Step], after: Run, lost: Usage) -> IterationMetrics:
    outcomes = [step.entry.outcome for step in steps]
    train, holdout = _scores(after)
    return IterationMetrics(
        iteration=index + 1,
        tested=any(isinstance(outcome, Tested) for outcome in outcomes),
        train=train,
        holdout=holdout,
        candidates=tuple(_candidates(steps)),
        refused=_counted(problem.code for problem, _ in _refusals(steps)),
        states=_states(steps),
        lost=lost,
    )


def _scores(run: Run) -> tuple[Score | None, Score | None]:
    """How the best did when it became the best; the run has it in its history."""
    if run.best is None:
        return None, None
    number = run.best.iteration
    best = next(record.headline for record in run.history if record.iteration == number)
    return best.train, best.holdout


def _candidates(steps: Sequence[Step]) -> Iterator[CandidateMetrics]:
    for step in steps:
        if isinstance(step.entry.outcome, Tested):
            rows = zip(step.after.history[-1].trials, step.before.laps, strict=True)
            yield from (_candidate(trial, lap) for trial, lap in rows)


def _candidate(trial: TrialRecord, lap: Lap) -> CandidateMetrics:
    samples = (*lap.samples, *lap.extra)
    return CandidateMetrics(
        strategy=trial.strategy,
        change=in_words(trial.edits),
        accepted=trial.accepted,
        reason=trial.reason,
        train=trial.train,
        holdout=trial.holdout,
        rollouts=len(samples),
        comparison=trial.comparison,
        usage=usage_of(samples),
    )


def _refusals(steps: Sequence[Step]) -> Iterator[tuple[Problem, Step]]:
    """Every draft turned down, by the first thing said against it, and every answer without one."""
    for step in steps:
        if isinstance(step.entry.outcome, Checked) and step.entry.outcome.problems:
            yield step.entry.outcome.problems[0], step


def _states(steps: Sequence[Step]) -> tuple[StateMetrics, ...]:
    found: Mapping[LoopState, list[Usage]] = defaultdict(list)
    for step in steps:
        found[step.entry.state].append(step.entry.outcome.usage)
    return tuple(StateMetrics(s, len(found[s]), _sum(found[s])) for s in LoopState if s in found)


def _strategies(steps: Sequence[Step]) -> Iterator[StrategyMetrics]:
    made = [o for s in steps if isinstance(o := s.entry.outcome, Modified) and o.attempt]
    for strategy in Strategy:
        mine = [
            outcome for outcome in made if outcome.attempt and outcome.attempt.strategy is strategy
        ]
        if not mine:
            continue
        trials = [trial for trial in _candidates(steps) if trial.strategy == strategy.value]
        yield StrategyMetrics(
            strategy=strategy,
            attempts=len(mine),
            drafts=sum(outcome.draft is not None for outcome in mine),
            refused=sum(_is_of(strategy, step) for _, step in _refusals(steps)),
            tried=len(trials),
            accepted=sum(trial.accepted for trial in trials),
            usage=_sum(outcome.usage for outcome in mine),
            rollouts=_sum(trial.usage for trial in trials),
        )


def _is_of(strategy: Strategy, step: Step) -> bool:
    """Whether a draft made in this way was turned down at *step*."""
    draft = step.before.draft
    return draft is not None and draft.attempt.strategy is strategy


def _workflow_states(steps: Sequence[Step]) -> tuple[WorkflowStateMetrics, ...]:
    found: Mapping[str, list[Visit]] = defaultdict(list)
    for sample in _samples(steps):
        for visit in sample.rollout.visits:
            found[visit.state].append(visit)
    return tuple(
        WorkflowStateMetrics(
            state=state,
            visits=len(mine),
            errors=sum(bool(visit.error) for visit in mine),
            usage=_sum(visit.usage for visit in mine),
            ways=_counted(visit.next for visit in mine if visit.routed),
        )
        for state, mine in found.items()
    )


def _samples(steps: Sequence[Step]) -> Iterator[Sample]:
    """Every rollout once: those of PREPARING are the first of RUNNING, when it comes so far."""
    prepared: tuple[Sample, ...] = ()
    for step in steps:
        outcome = step.entry.outcome
        if isinstance(outcome, Prepared):
            prepared = outcome.samples
        elif isinstance(outcome, Ran):
            prepared = ()
            for lap in outcome.laps:
                yield from (*lap.samples, *lap.extra)
            yield from (*outcome.again, *outcome.extra)
    yield from prepared


def _counted(names: Iterable[str]) -> Counts:
    return tuple(sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0])))


def _lost(spent: Usage, steps: Sequence[Step]) -> Usage:
    """What of *spent* is in none of the *steps*; there are no tokens of what broke off."""
    rest = spent - _sum(step.entry.outcome.usage for step in steps)
    return Usage(calls=max(0, rest.calls), retries=max(0, rest.retries))


def _sum(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())
