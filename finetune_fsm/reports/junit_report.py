"""A suite's verdict as JUnit XML, which build servers read.

A scenario is a test case. An assertion that does not hold is a *failure*; a run that failed, or an
assertion that could not be made, is an *error*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune_fsm.reports.text_report import draws_line
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport, Verdict
from finetune_fsm.sinks import one_line, xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_LIMIT = 1000
"""Characters of one attribute."""


def render(report: SuiteReport, *, workflow: str, timestamp: str) -> str:
    """Return *report* as JUnit XML, with a line end at its end; well-formed for any text.

    ElementTree writes characters that XML forbids as they are; `sinks.xml` leaves none.

    Args:
        report: The verdict.
        workflow: The workflow as the user named it.
        timestamp: When it was judged, ISO 8601.
    """
    from xml.etree import ElementTree as ET

    name = _attribute(workflow)
    kinds = [_kind(result) for result in report.results]
    counts = {
        "name": name,
        "tests": str(report.total),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "time": _seconds(report.seconds),
    }
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(
        root, "testsuite", {**counts, "skipped": "0", "timestamp": _attribute(timestamp)}
    )
    for result, kind in zip(report.results, kinds, strict=True):
        case = ET.SubElement(
            suite,
            "testcase",
            {
                "name": _attribute(result.scenario.name),
                "classname": name,
                "time": _seconds(result.rollout.seconds),
            },
        )
        if kind:
            _explain(ET.SubElement(case, kind), result)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _kind(result: ScenarioResult) -> str:
    if result.passed:
        return ""
    return "error" if result.error or result.verdict is Verdict.ERROR else "failure"


def _explain(element: Element, result: ScenarioResult) -> None:
    reasons = [found.message for found in result.failures]
    if result.error:
        reasons.insert(0, result.error)
    if result.draws:
        reasons.insert(0, draws_line(result))
    element.set("message", _attribute(reasons[0]))
    element.set("type", "run" if result.error else str(result.failures[0].assertion.type))
    values = {
        found.assertion.target: found.actual
        for found in result.failures
        if found.assertion.target and found.actual is not None
    }
    shown = [f"{target}:\n{actual}" for target, actual in values.items()]
    element.text = "\n\n".join(xml(text) for text in ("\n".join(reasons), *shown))


def _attribute(text: str) -> str:
    return xml(one_line(text, limit=_LIMIT))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
