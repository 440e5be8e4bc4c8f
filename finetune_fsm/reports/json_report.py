"""A suite's verdict as JSON, in the shape that AgentMech's users read already, with additions."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_fsm.scenarios.fields import document_of
from finetune_fsm.scenarios.model import AssertionResult, ScenarioResult, SuiteReport, Verdict
from finetune_fsm.scenarios.statistics import wilson
from finetune_fsm.sinks import json_text

FORMAT = 1
"""1: AgentMech's fields; format, verdict, errors, score, draws, llm_calls and tokens are ours."""


def render(report: SuiteReport, *, workflow: str, timestamp: str) -> str:
    """Return *report* as JSON, with a line end at its end.

    Texts are whole, as they are but for secrets. What could steer a terminal is escaped by JSON's
    own means, so the text may be printed; it can always be encoded.

    Args:
        report: The verdict.
        workflow: The workflow as the user named it.
        timestamp: When it was judged, ISO 8601.
    """
    return json_text(shape(report, workflow=workflow, timestamp=timestamp)) + "\n"


def shape(report: SuiteReport, *, workflow: str, timestamp: str) -> Mapping[str, object]:
    """Return what `render` writes, as plain data. Pure."""
    return {
        "format": FORMAT,
        "workflow": workflow,
        "timestamp": timestamp,
        "summary": {
            "total": report.total,
            "passed": report.passed,
            "failed": report.total - report.passed,
            "errors": sum(result.verdict is Verdict.ERROR for result in report.results),
            "duration": _milliseconds(report.seconds),
            "successRate": report.pass_rate * 100,
            "llm_calls": report.usage.calls,
            "tokens": report.usage.tokens,
        },
        "tests": [_test(result) for result in report.results],
    }


def _test(result: ScenarioResult) -> Mapping[str, object]:
    usage = result.rollout.spent
    return {
        "name": result.scenario.name,
        "description": result.scenario.description,
        "passed": result.passed,
        "verdict": str(result.verdict),
        "duration": _milliseconds(result.rollout.seconds),
        **({"error": result.error} if result.error else {}),
        "assertions": [_assertion(found) for found in result.assertions],
        "score": result.score,
        **({"draws": _draws(result)} if result.draws else {}),
        "llm_calls": usage.calls,
        "tokens": usage.tokens,
    }


def _assertion(found: AssertionResult) -> Mapping[str, object]:
    assertion = found.assertion
    return {
        "value": assertion.requirement,  # of types that have none
        **document_of(assertion),
        "passed": found.verdict is Verdict.PASSED,
        "verdict": str(found.verdict),
        "message": found.message,
    }


def _draws(result: ScenarioResult) -> Mapping[str, object]:
    """The runs of one scenario, with the 95 % interval of the pass rate."""
    interval = wilson(result.passed_draws, len(result.draws))
    return {
        "total": len(result.draws),
        "passed": result.passed_draws,
        "low": interval.low,
        "high": interval.high,
        "verdicts": [str(verdict) for verdict in result.draws],
    }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
