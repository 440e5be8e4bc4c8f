"""Entries as plain data and back, for the journal.

A verdict is journaled without the rollout it judges and the scenario it belongs to: those are in
the run already, from RUNNING and PREPARING, and the run is rebuilt before the entry is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from finetune_fsm.codec import plain, restore
from finetune_fsm.errors import JournalError
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Sample, report_of, verdicts
from finetune_fsm.loop.machine import Entry
from finetune_fsm.loop.outcomes import OUTCOMES, Outcome, Tested, Tried
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.scenarios.model import (
    AssertionResult,
    Scenario,
    ScenarioResult,
    SuiteReport,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class _Line:
    """An entry as it stands in the journal; `judgements` belong to a `Tested` alone.

    `mark` is that of the run after the step, so that other rules are noticed.
    """

    number: int
    state: LoopState
    event: str
    target: LoopState
    outcome: Mapping[str, object]
    mark: str
    judgements: tuple[tuple[_Judgement, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class _Check:
    verdict: Verdict
    message: str
    actual: str | None


@dataclass(frozen=True, slots=True)
class _Judgement:
    verdict: Verdict
    error: str
    assertions: tuple[_Check, ...]
    draws: tuple[Verdict, ...] = ()


def entry_data(entry: Entry, run: Run) -> Mapping[str, object]:
    """Return *entry*, after which *run* is known, as data that `entry_of` reads. Pure."""
    outcome = entry.outcome
    judgements: tuple[tuple[_Judgement, ...], ...] = ()
    if isinstance(outcome, Tested):
        judgements = tuple(tuple(map(_slim, tried.results)) for tried in outcome.trials)
        bare = (replace(t, results=(), report=SuiteReport(())) for t in outcome.trials)
        outcome = replace(outcome, trials=tuple(bare))
    data: Mapping[str, object] = plain(
        _Line(
            number=entry.number,
            state=entry.state,
            event=outcome.event,
            target=entry.target,
            outcome=plain(outcome),
            mark=run.mark,
            judgements=judgements,
        )
    )
    return data


def entry_of(data: Mapping[str, object], run: Run) -> Entry:
    """Return the entry that *data* describes; *run* is what was known before it. Pure.

    Raises:
        JournalError: it is no entry of this version's loop.
    """
    try:
        line = restore(_Line, data)
        outcome: Outcome = restore(OUTCOMES[line.event], line.outcome)
        if isinstance(outcome, Tested):
            rows = zip(outcome.trials, run.laps, line.judgements, strict=True)
            outcome = replace(outcome, trials=tuple(_full(*row, run) for row in rows))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        message = f"step {data.get('number')} cannot be read: {error}"
        raise JournalError(f"{message} — was it written by another version?") from error
    return Entry(line.number, line.state, outcome, line.target)


def _slim(result: ScenarioResult) -> _Judgement:
    return _Judgement(
        result.verdict,
        result.error,
        tuple(_Check(a.verdict, a.message, a.actual) for a in result.assertions),
        result.draws,
    )


def _full(tried: Tried, lap: Lap, said: tuple[_Judgement, ...], run: Run) -> Tried:
    if run.suite is None:
        raise ValueError("there is a verdict and there are no tests")
    scenarios = run.suite.scenarios
    results = tuple(
        _result(scenarios[sample.scenario], sample, judgement)
        for sample, judgement in zip(lap.samples, said, strict=True)
    )
    indexes = (sample.scenario for sample in lap.samples)
    report = report_of(verdicts(zip(indexes, results, strict=True)))
    return replace(tried, results=results, report=report)


def _result(scenario: Scenario, sample: Sample, said: _Judgement) -> ScenarioResult:
    checks = _checks(scenario, said)
    return ScenarioResult(scenario, sample.rollout, said.verdict, checks, said.error, said.draws)


def _checks(scenario: Scenario, said: _Judgement) -> tuple[AssertionResult, ...]:
    if not said.assertions:
        return ()
    pairs = zip(scenario.assertions, said.assertions, strict=True)
    return tuple(
        AssertionResult(assertion, check.verdict, check.message, check.actual)
        for assertion, check in pairs
    )
