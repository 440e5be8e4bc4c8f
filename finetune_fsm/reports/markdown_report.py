"""A suite's verdict as Markdown: a summary table and a section for each scenario."""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_fsm.reports.text_report import draws_line, duration, percent
from finetune_fsm.scenarios.model import AssertionResult, ScenarioResult, SuiteReport, Verdict
from finetune_fsm.sinks import clean, one_line

WORDS = {Verdict.PASSED: "passed", Verdict.FAILED: "FAILED", Verdict.ERROR: "ERROR"}

_LIMIT = 2000
"""Characters of one text."""

_MARKUP = re.compile(r"[\\`*_\[\]<>#|~&$]|^[-+=]|(?<=www)\.|:(?=//)")
"""What may be markup: some characters anywhere, others at the beginning, bare addresses."""

_NUMBER = re.compile(r"^(\d+)([.)])")

_TICKS = re.compile("`+")


def render(report: SuiteReport, *, workflow: str, timestamp: str) -> str:
    """Return *report* as Markdown, with a line end at its end.

    Foreign text stays text: it makes no heading, list, table cell, link, image or HTML.

    Args:
        report: The verdict.
        workflow: The workflow as the user named it.
        timestamp: When it was judged, ISO 8601.
    """
    sections = (section(number, result) for number, result in enumerate(report.results, 1))
    start = head(report, workflow=workflow, timestamp=timestamp)
    return "\n\n".join((start, *sections)) + "\n"


def head(report: SuiteReport, *, workflow: str, timestamp: str) -> str:
    """Return what stands above the scenarios, without a line end at its end."""
    parts = (
        f"# Test report: {escaped(workflow)}",
        f"Judged: {escaped(timestamp)}",
        "## Summary",
        "\n".join(_summary(report)),
        "## Scenarios",
    )
    return "\n\n".join(parts)


def section(number: int, result: ScenarioResult) -> str:
    """Return what stands about the scenario with *number*, without a line end at its end."""
    return "\n\n".join(_paragraphs(number, result))


def escaped(text: str) -> str:
    """Return *text* on one line, every character of it meaning itself.

    Source: CommonMark 0.31, backslash escapes; GitHub's extended autolinks.
    """
    line = one_line(text, limit=_LIMIT)
    return _NUMBER.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", line))


def code(text: str) -> str:
    """Return *text* on one line as a code span, longer than any row of ticks inside."""
    line = one_line(text, limit=_LIMIT) or " "
    ticks = "`" * (1 + max((len(row) for row in _TICKS.findall(line)), default=0))
    return f"{ticks} {line} {ticks}"


def _block(text: str) -> str:
    """Return *text* as a fenced block, the fence longer than any inside."""
    body = clean(text, limit=_LIMIT)
    ticks = "`" * max(3, 1 + max((len(row) for row in _TICKS.findall(body)), default=0))
    return f"{ticks}text\n{body}\n{ticks}"


def _summary(report: SuiteReport) -> Iterator[str]:
    errors = sum(result.verdict is Verdict.ERROR for result in report.results)
    rows = {
        "Scenarios": report.total,
        "Passed": report.passed,
        "Failed": report.total - report.passed - errors,
        "Errors": errors,
        "Pass rate": percent(report),
        "Duration": duration(report.seconds),
        "Model calls": report.usage.calls,
        "Tokens": report.usage.tokens,
    }
    yield "| What | Value |"
    yield "|---|---|"
    for what, value in rows.items():
        yield f"| {what} | {value} |"


def _paragraphs(number: int, result: ScenarioResult) -> Iterator[str]:
    scenario = result.scenario
    yield f"### {number}. {escaped(scenario.name)}: {WORDS[result.verdict]}"
    if scenario.description.strip():
        yield escaped(scenario.description)
    yield f"Duration: {duration(result.rollout.seconds)}"
    if result.draws:
        yield f"Runs: {draws_line(result)}"
    if result.error:
        yield f"Error: {escaped(result.error)}"
    if result.assertions:
        yield "\n".join(_line(found) for found in result.assertions)
    shown: set[str] = set()
    for found in result.failures:
        target = found.assertion.target
        if target and found.actual is not None and target not in shown:
            shown.add(target)
            yield f"Value of {code(target)}:"
            yield _block(found.actual)


def _line(found: AssertionResult) -> str:
    why = escaped(found.assertion.description)
    line = f"- {WORDS[found.verdict]}: {escaped(found.message)}"
    return f"{line} ({why})" if why else line
