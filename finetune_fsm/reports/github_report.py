"""A suite's verdict for GitHub: the text in the step's log, a mark at each scenario that failed.

The log is foreign text, so the runner is told to act on nothing in it; the marks are commands.
Beside them stands the step's summary, which is the Markdown report, cut to what GitHub takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finetune_fsm.reports import markdown_report, text_report
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport
from finetune_fsm.sinks import command, stopped

SUMMARY_LIMIT = 1_000_000
"""Bytes of a summary; GitHub refuses those of more than 1 MiB."""

_LIMIT = 4000
"""Characters of one mark; GitHub shows about as many."""

_MORE = "{} more scenarios are left out: the summary would be longer than GitHub takes."


def render(
    report: SuiteReport,
    *,
    workflow: str,
    timestamp: str,
    file: str = "",
    lines: Sequence[int] = (),
) -> str:
    """Return *report* as the log of a step, with a line end at its end.

    Args:
        report: The verdict.
        workflow: The workflow as the user named it.
        timestamp: When it was judged, ISO 8601.
        file: The test file, relative to the repository's root; without it the marks have no place.
        lines: Line of each scenario in it, in suite order, from 1 on; 0 or none when unknown.
    """
    text = text_report.render(report, workflow=workflow, timestamp=timestamp)
    places = [*lines, *([0] * report.total)]
    marks = (
        _mark(result, file, line)
        for result, line in zip(report.results, places, strict=False)
        if not result.passed
    )
    return stopped(text) + "".join(f"{mark}\n" for mark in marks)


def _mark(result: ScenarioResult, file: str, line: int) -> str:
    return command(
        "error",
        "\n".join(text_report.reasons(result)),
        limit=_LIMIT,
        title=f"{result.verdict}: {text_report.shown_name(result)}",
        file=file,
        line=str(line) if file and line else "",
    )


def summary(
    report: SuiteReport, *, workflow: str, timestamp: str, limit: int = SUMMARY_LIMIT
) -> str:
    """Return *report* as Markdown of *limit* bytes at most, with a line end at its end.

    Scenarios that do not fit are left out, from the last on, and it says how many.
    """
    head = markdown_report.head(report, workflow=workflow, timestamp=timestamp)
    room = limit - len(head.encode()) - len(_MORE) - 20
    parts = [head, *_fitting(report, room)]
    left = report.total - len(parts) + 1
    if left:
        parts.append(_MORE.format(left))
    return "\n\n".join(parts) + "\n"


def _fitting(report: SuiteReport, room: int) -> Iterator[str]:
    for number, result in enumerate(report.results, 1):
        section = markdown_report.section(number, result)
        room -= len(section.encode()) + 2
        if room < 0:
            return
        yield section
