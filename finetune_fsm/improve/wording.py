"""What the reflection LLM is told: workflows, results and requirements as plain sentences.

Requirements are words, never patterns; a wrong answer is never shown beside the wanted one,
because a small model copies it (measured with a 1.5B model: 7 of 8 attempts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from finetune_fsm.execution.interpolation import fill
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport
from finetune_fsm.sinks import visible, visible_line
from finetune_fsm.workflow.graph import available
from finetune_fsm.workflow.model import State, Workflow

WORKFLOW_LIMIT = 6_000
"""Characters of a workflow's text that a prompt shows; the rest is left out and said so."""

SHOWN_SCENARIOS = 6
"""Failing scenarios that a prompt shows; more of the same teach a small model nothing."""


@cache
def _template(name: str) -> str:
    return files("finetune_fsm.improve").joinpath("prompts", f"{name}.txt").read_text("utf-8")


def rendered(name: str, values: Mapping[str, str]) -> str:
    """Return the prompt called *name* with *values* put in, each once and never re-read."""
    return fill(_template(name), values).text.strip()


def purpose(workflow: Workflow) -> str:
    """What the workflow is for, in one line. Pure."""
    described = visible_line(workflow.description, limit=400)
    return (
        f"{visible_line(workflow.name)}: {described}" if described else visible_line(workflow.name)
    )


def shown(workflow: Workflow) -> str:
    """The workflow's text, cleaned and bounded. Pure."""
    return visible(workflow.text.strip(), limit=WORKFLOW_LIMIT)


def placeholders(workflow: Workflow, state: State) -> str:
    """The variables that the prompt of *state* may read, in double braces. Pure."""
    names = sorted(available(workflow, state.name))
    return ", ".join(f"{{{{{name}}}}}" for name in names) or "none"


def requirements(report: SuiteReport, names: Iterable[str], change: str = "") -> str:
    """One line per failing scenario of *names*: its inputs, and what is asked in words. Pure."""
    wanted = set(names)
    lines = [_requirement(r) for r in report.results if r.scenario.name in wanted and not r.passed]
    if change:
        lines.append(f"- {visible_line(change, limit=300)}")
    return "\n".join(lines[:SHOWN_SCENARIOS]) or "- a correct, clear and complete answer"


def _requirement(result: ScenarioResult) -> str:
    given = ", ".join(f"{k} = {visible_line(v)!r}" for k, v in result.scenario.inputs.items())
    asked = "; ".join(
        dict.fromkeys(visible_line(f.assertion.requirement, limit=300) for f in result.failures)
    )
    asked = asked or "the run must come to its end without an error"
    return f"- When {given}: {asked}" if given else f"- {asked}"


def complaint(code: str, message: str) -> str:
    """What is wrong with a draft, in words that give nothing of the tests away. Pure.

    The words that a draft copied may be those of a scenario that is held out.
    """
    return "it copies words of a test" if code == "copied_words" else message


def results(report: SuiteReport) -> str:
    """How the scenarios went: a count, then one line per failing one. Pure."""
    head = f"{report.passed} of {report.total} scenarios passed."
    failed = [_result(result) for result in report.results if not result.passed]
    more = len(failed) - SHOWN_SCENARIOS
    tail = [f"- and {more} more like these"] if more > 0 else []
    return "\n".join([head, *failed[:SHOWN_SCENARIOS], *tail])


def _result(result: ScenarioResult) -> str:
    if result.error:
        return f"- '{visible_line(result.scenario.name)}' broke off: {visible_line(result.error)}"
    failures = "; ".join(visible_line(f.assertion.requirement, limit=200) for f in result.failures)
    return f"- '{visible_line(result.scenario.name)}' failed: {failures}"
