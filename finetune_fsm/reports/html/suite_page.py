"""A suite's verdict as a page: what was tested, a table of the scenarios, and what was said."""

from __future__ import annotations

from finetune_fsm.reports.html.markup import Html, page, tag
from finetune_fsm.reports.html.parts import (
    Cell,
    Table,
    facts,
    fitting,
    line,
    many,
    paragraph,
    section,
)
from finetune_fsm.reports.html.scenarios import LIMITS, Told, counts, scenarios, verdict_cell
from finetune_fsm.reports.html.style import PAGE
from finetune_fsm.reports.text_report import duration, percent, reasons
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport, Verdict

_ROOM = 700_000
"""Bytes for what was asked and answered."""

_ROWS = 1000


def render(report: SuiteReport, *, workflow: str, timestamp: str) -> str:
    """Return *report* as a page, with a line end at its end.

    Args:
        report: The verdict.
        workflow: The workflow as the user named it.
        timestamp: When it was judged, ISO 8601.
    """
    title = f"Tests of {line(workflow)}"
    told = [Told(result.scenario, (("", result),)) for result in report.results]
    return page(
        title,
        PAGE,
        tag("header", tag("h1", title), _verdict(report)),
        tag(
            "main",
            _summary(report, timestamp),
            section("verdicts", "Verdicts", _table(report)),
            section(
                "scenarios",
                "Scenarios",
                fitting(lambda limit: scenarios(told, limit), LIMITS, _ROOM),
            ),
        ),
        tag("footer", "Written by agentmech test."),
    )


def _verdict(report: SuiteReport) -> Html:
    sentence = f"{report.passed} of {many(report.total, 'scenario')} passed ({percent(report)})"
    return paragraph(f"{sentence}.", kind=f"verdict {'good' if report.solved else 'bad'}")


def _summary(report: SuiteReport, timestamp: str) -> Html:
    found = counts(report.results)
    usage = report.usage
    return facts(
        (
            ("Judged", line(timestamp)),
            ("Failed", f"{found[Verdict.FAILED]:,}"),
            ("Errors", f"{found[Verdict.ERROR]:,}"),
            ("Took", duration(report.seconds)),
            ("Model calls", f"{usage.calls:,}"),
            ("Tokens", f"{usage.prompt_tokens:,} read, {usage.completion_tokens:,} written"),
        )
    )


def _table(report: SuiteReport) -> Html:
    bad = [result for result in report.results if not result.passed]
    shown = report.results if report.total <= _ROWS else (*bad, *report.results)[:_ROWS]
    left = report.total - len(shown)
    caption = "What became of each scenario"
    caption += f"; those that failed first, {left:,} left out" if left else ""
    heads = ("Scenario", "Verdict", "Why", "Calls", "Tokens", "Time")
    return Table(caption, heads, [_row(r) for r in shown], frozenset({2}), frozenset({1})).html()


def _row(result: ScenarioResult) -> tuple[str | Cell, ...]:
    usage = result.rollout.spent
    return (
        line(result.scenario.name),
        Cell(*verdict_cell(result)),
        "; ".join(reasons(result)),
        f"{usage.calls:,}",
        f"{usage.tokens:,}",
        duration(result.rollout.seconds),
    )
