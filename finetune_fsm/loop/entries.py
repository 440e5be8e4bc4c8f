"""Entries as plain data and back, for the journal.

A verdict is journaled without the rollout it judges and the scenario it belongs to: those are in
the run already, from RUNNING and PREPARING, and the run is rebuilt before the entry is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from finetune_fsm.codec import plain, restore
from finetune_fsm.errors import JournalError
from finetune_fsm.loop.machine import Entry
from finetune_fsm.loop.outcomes import OUTCOMES, Outcome, Tested
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
    """An entry as it stands in the journal; `report` belongs to a `Tested` alone.

    `mark` is that of the run after the step, so that other rules are noticed.
    """

    number: int
    state: LoopState
    event: str
    target: LoopState
    outcome: Mapping[str, object]
    mark: str
    report: _Report | None = None


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


@dataclass(frozen=True, slots=True)
class _Report:
    seconds: float
    results: tuple[_Judgement, ...]


def entry_data(entry: Entry, run: Run) -> Mapping[str, object]:
    """Return *entry*, after which *run* is known, as data that `entry_of` reads. Pure."""
    outcome, report = entry.outcome, None
    if isinstance(outcome, Tested):
        report = _slim(outcome.report)
        outcome = replace(outcome, report=SuiteReport(()))
    data: Mapping[str, object] = plain(
        _Line(
            number=entry.number,
            state=entry.state,
            event=outcome.event,
            target=entry.target,
            outcome=plain(outcome),
            mark=run.mark,
            report=report,
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
        if isinstance(outcome, Tested) and line.report is not None:
            outcome = replace(outcome, report=_full(line.report, run))
    except (KeyError, TypeError, ValueError) as error:
        message = f"step {data.get('number')} cannot be read: {error}"
        raise JournalError(f"{message} — was it written by another version?") from error
    return Entry(line.number, line.state, outcome, line.target)


def _slim(report: SuiteReport) -> _Report:
    return _Report(
        report.seconds,
        tuple(
            _Judgement(
                result.verdict,
                result.error,
                tuple(_Check(a.verdict, a.message, a.actual) for a in result.assertions),
            )
            for result in report.results
        ),
    )


def _full(report: _Report, run: Run) -> SuiteReport:
    if run.suite is None:
        raise ValueError("there is a verdict and there are no tests")
    rows = zip(run.suite.scenarios, run.rollouts, report.results, strict=True)
    return SuiteReport(
        tuple(
            ScenarioResult(scenario, rollout, said.verdict, _checks(scenario, said), said.error)
            for scenario, rollout, said in rows
        ),
        report.seconds,
    )


def _checks(scenario: Scenario, said: _Judgement) -> tuple[AssertionResult, ...]:
    if not said.assertions:
        return ()
    pairs = zip(scenario.assertions, said.assertions, strict=True)
    return tuple(
        AssertionResult(assertion, check.verdict, check.message, check.actual)
        for assertion, check in pairs
    )
