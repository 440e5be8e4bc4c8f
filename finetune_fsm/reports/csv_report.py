"""A suite's verdict as a table: CSV with a header, one row for each scenario."""

from __future__ import annotations

from finetune_fsm.reports.text_report import reasons
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport
from finetune_fsm.sinks import csv_cell

HEADER = (
    "workflow",
    "timestamp",
    "scenario",
    "description",
    "verdict",
    "duration_ms",
    "assertions",
    "not_passed",
    "llm_calls",
    "tokens",
    "reasons",
    "score",
    "runs",
    "runs_passed",
)
"""Columns; new ones come at the end. Reasons are lines of one cell."""

_LIMIT = 5000
"""Characters of one cell; spreadsheets take 32,767."""


def render(report: SuiteReport, *, workflow: str, timestamp: str) -> str:
    """Return *report* as CSV, every text in quotes, with a line end at its end.

    Args:
        report: The verdict.
        workflow: The workflow as the user named it.
        timestamp: When it was judged, ISO 8601.

    Source: RFC 4180, but for line ends, which are those of the other reports.
    """
    import csv
    import io

    stream = io.StringIO()
    # A quoted cell stays one cell for readers that take semicolons for separators, too.
    writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(HEADER)
    beginning = (_cell(workflow), _cell(timestamp))
    writer.writerows((*beginning, *_row(result)) for result in report.results)
    return stream.getvalue()


def _row(result: ScenarioResult) -> tuple[str | float, ...]:
    usage = result.rollout.spent
    return (
        _cell(result.scenario.name),
        _cell(result.scenario.description),
        str(result.verdict),
        round(result.rollout.seconds * 1000),
        len(result.assertions),
        len(result.failures),
        usage.calls,
        usage.tokens,
        _cell("\n".join(reasons(result))),
        round(result.score, 6),
        len(result.draws) or 1,
        result.passed_draws if result.draws else int(result.passed),
    )


def _cell(text: str) -> str:
    return csv_cell(text, limit=_LIMIT)
