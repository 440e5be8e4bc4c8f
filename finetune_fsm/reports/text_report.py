"""A suite's verdict as plain lines: no colour, nothing that a terminal or a log could choke on."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport, Verdict
from finetune_fsm.scenarios.statistics import wilson
from finetune_fsm.sinks import one_line

WORDS = {Verdict.PASSED: "PASS ", Verdict.FAILED: "FAIL ", Verdict.ERROR: "ERROR"}

_LIMIT = 500
"""Characters of one line of foreign text."""


def render(report: SuiteReport, *, workflow: str, timestamp: str) -> str:
    """Return *report* as text, with a line end at its end.

    Args:
        report: The verdict.
        workflow: The workflow as the user named it.
        timestamp: When it was judged, ISO 8601.
    """
    lines = [f"{one_line(workflow, limit=_LIMIT)}  {one_line(timestamp)}", ""]
    for result in report.results:
        lines += scenario_lines(result)
    return "\n".join([*lines, "", summary_line(report)]) + "\n"


def scenario_lines(result: ScenarioResult) -> tuple[str, ...]:
    """Return one line, and one more for each reason why *result* did not pass."""
    took = duration(result.rollout.seconds)
    drawn = f"  {draws_line(result)}" if result.draws and result.passed else ""
    head = f"{WORDS[result.verdict]} {shown_name(result)}  {took}{drawn}"
    return (head, *(f"      {reason}" for reason in reasons(result)))


def draws_line(result: ScenarioResult) -> str:
    """Return how many of *result*'s draws passed, with the 95 % interval of the pass rate."""
    passed, many = result.passed_draws, len(result.draws)
    found = wilson(passed, many)
    low, high = round(100 * found.low), round(100 * found.high)
    return f"{passed} of {many} runs passed, {low} to {high} %"


def shown_name(result: ScenarioResult) -> str:
    """Return the name of *result*'s scenario on one line."""
    return one_line(result.scenario.name, limit=_LIMIT)


def reasons(result: ScenarioResult) -> Iterator[str]:
    """Yield, a line each, why *result* did not pass."""
    if result.draws and not result.passed:
        wanted = f"{100 * result.scenario.pass_rate:g}"
        yield f"{draws_line(result)}, and {wanted} % must; one of the others:"
    if result.error:
        yield f"the run failed: {one_line(result.error, limit=_LIMIT)}"
    for found in result.failures:
        why = one_line(found.assertion.description, limit=_LIMIT)
        yield one_line(found.message, limit=2 * _LIMIT) + (f"  ({why})" if why else "")


def summary_line(report: SuiteReport) -> str:
    """Return the verdict on all scenarios in one line. Pure."""
    usage = report.usage
    calls = f"{usage.calls} model call{'' if usage.calls == 1 else 's'}"
    return (
        f"{report.passed} of {report.total} passed ({percent(report)}), "
        f"{calls}, {usage.tokens} tokens, {duration(report.seconds)}"
    )


def percent(report: SuiteReport) -> str:
    """Return the pass rate in per cent, rounded down: 100 % means all. Pure."""
    return f"{100 * report.passed // report.total if report.total else 0} %"


def duration(seconds: float) -> str:
    """Return *seconds* for people: ``850 ms``, ``12.3 s`` or ``4 min 5 s``. Pure."""
    if round(seconds * 1000) < 1000:
        return f"{round(seconds * 1000)} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
