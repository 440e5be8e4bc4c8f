"""How candidates ran and what the tests said of them, as lines of the session."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.loop.outcomes import (
    Ran,
    Tested,
    Tried,
)
from finetune_fsm.loop.run import Run
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.scenarios.model import ScenarioResult
from finetune_fsm.sinks import one_line

REASON_LIMIT = 300
"""Characters of why a scenario failed."""

BLANK = Line()


def ran(outcome: Ran, run: Run) -> Iterator[Line]:
    """Yield whether the candidates came to an end, and what they were warned of. Pure."""
    names = [s.name for s in run.suite.scenarios] if run.suite else []
    for lap, label in zip(outcome.laps, labels(len(outcome.laps)), strict=True):
        broken = {
            names[sample.scenario]: sample.rollout
            for sample in lap.samples
            if sample.rollout.status is not RunStatus.COMPLETED
        }
        ran = len({sample.scenario for sample in lap.samples})
        if broken:
            total = count(ran, "scenario")
            yield Line(f"  {label}Workflow failed in {len(broken)} of {total}:", Tone.BAD)
            yield from (
                Line(f"    - {one_line(name)}: {_why(rollout)}", Tone.BAD)
                for name, rollout in broken.items()
            )
        else:
            partly = f" ({ran} of {count(len(names), 'scenario')})" if ran < len(names) else ""
            yield Line(f"  {label}Workflow executed successfully{partly}", Tone.GOOD)
    warnings = (w for lap in outcome.laps for s in lap.samples for w in s.rollout.warnings)
    for warning in dict.fromkeys(warnings):
        yield Line(f"  Warning: {one_line(warning, limit=REASON_LIMIT)}", Tone.WARNING)
    yield BLANK


def labels(count: int) -> tuple[str, ...]:
    """Return what the candidates of one field are called: nothing for one alone. Pure."""
    return tuple(f"{letter}: " for letter in ascii_lowercase[:count]) if count > 1 else ("",)


def _why(rollout: Rollout) -> str:
    if rollout.error is None:
        return "stopped"
    where = f"in state '{one_line(rollout.error.state)}': " if rollout.error.state else ""
    return where + one_line(rollout.error.message, limit=REASON_LIMIT)


def tested(outcome: Tested, run: Run) -> Iterator[Line]:
    """Yield what the tests said of each candidate, and which one is kept. Pure."""
    for tried, label in zip(outcome.trials, labels(len(outcome.trials)), strict=True):
        yield from _verdict(tried, label, run)
    if not outcome.headline.accepted:
        yield Line(f"  Rolled back to iteration {run.best.iteration if run.best else 1}")
    if outcome.holdout:
        held = count(len(outcome.holdout), "scenario")
        yield Line(f"  {held} held out: no model is shown them, they only count", Tone.FAINT)
    yield BLANK


def _verdict(tried: Tried, label: str, run: Run) -> Iterator[Line]:
    report = tried.report
    if label and not tried.accepted:  # of those that lost, a line says enough
        reason = one_line(tried.reason, limit=REASON_LIMIT)
        counted = f"{report.passed}/{report.total} passed"
        yield Line(f"  {label}{counted}, not kept: {reason}", Tone.WARNING, hang=4)
        return
    everything = run.suite is not None and report.total == len(run.suite.scenarios)
    if report.solved and everything:
        yield Line(f"  {label}All tests passed ({report.passed}/{report.total})", Tone.GOOD)
    elif report.solved:
        yield Line(f"  {label}{report.passed} passed of the {report.total} that were run")
    else:
        failed = count(report.total - report.passed, "test")
        counted = f"{report.passed}/{report.total} passed"
        yield Line(f"  {label}{failed} failed ({counted}):", Tone.BAD)
        yield from (
            Line(f"    - {one_line(r.scenario.name)}: {reason_of(r)}", Tone.BAD)
            for r in report.results
            if not r.passed
        )
    if tried.comparison is not None:
        reason = one_line(tried.reason, limit=REASON_LIMIT)
        if tried.accepted:
            yield Line(f"  {label}Kept: {reason}", Tone.GOOD, hang=4)
        else:
            yield Line(f"  {label}Not kept: {reason}", Tone.WARNING, hang=4)


def reason_of(result: ScenarioResult) -> str:
    """Return in one line why *result* did not pass: the first reason, and how many more. Pure."""
    reasons = [result.error] if result.error else [failure.message for failure in result.failures]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return (one_line(reasons[0], limit=REASON_LIMIT) if reasons else "") + more


def count(number: int, noun: str, plural: str = "") -> str:
    """Return *number* with its noun, in the plural where that belongs. Pure."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
