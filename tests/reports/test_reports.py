"""Reports: exact for programs, harmless for people, whatever the texts in them are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from strategies import texts
from suites import reports

from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.llm.base import Usage
from finetune_fsm.reports import json_report, junit_report, markdown_report, text_report
from finetune_fsm.reports.formats import FORMATS, named_by
from finetune_fsm.reports.markdown_report import WORDS
from finetune_fsm.reports.text_report import duration
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Scenario,
    ScenarioResult,
    SuiteReport,
)
from finetune_fsm.sinks import clean, one_line

WHEN = "2026-05-17T12:34:56.789Z"
NASTY = (
    "\x1b[2J\x1b]52;c;aGk=\x07",
    "\x9b31m",
    "\u202eevil",
    "\u2028",
    "\ufffe\uffff",
    "\ud800",
    "\x00\x0b\x0c\r\n",
    "]]>",
    "<script>alert(1)</script>",
    "&amp;&lt;",
    "\"'",
    "| a | b |",
    "# heading",
    "- list",
    "1. one",
    "2) two",
    "+ plus",
    "===",
    "---",
    "```",
    "~~~",
    "`` ` ``",
    "[a](javascript:x)",
    "![i](http://x/y.png)",
    "<http://x.y>",
    "https://x.y",
    "www.x.yz",
    "**bold** _it_ ~~gone~~",
    "\\",
    "\\|",
    "a\\",
    "    code",
    "> quote",
    "::error::x",
    "[/INST]",
    "{{name}}",
    "\U000e0041",
    "🎈",
    "مرحبا",
    "&#35;",
    "$x^2$",
    "|--|\n|a|",
    "",
    " ",
)
contents = st.sampled_from(NASTY) | texts() | st.text(max_size=20)
any_report = reports(contents)


def example_report() -> SuiteReport:
    check = Assertion(AssertionType.CONTAINS, "Alice", "greeting", description="the name")
    reach = Assertion(AssertionType.STATE_REACHED, "end")
    pattern = Assertion(AssertionType.REGEX, "(", "greeting")
    visit = Visit("greet", "prompt", usage=Usage(2, 10, 5))
    good = Rollout(
        RunStatus.COMPLETED, (visit,), ("greet", "end"), {"greeting": "Hi Alice"}, seconds=1.25
    )
    other = Rollout(RunStatus.COMPLETED, (visit,), ("greet", "end"), {"greeting": "Hi | Bob"})
    broken = Rollout(RunStatus.FAILED, error=RunError("greet", "no reply"), seconds=65)
    return SuiteReport(
        (
            judge_rollout(Scenario("Good", (check, reach), description="It works."), good),
            judge_rollout(Scenario("Wrong", (check, reach)), other),
            judge_rollout(Scenario("Unclear", (pattern, reach)), good),
            judge_rollout(Scenario("Broken", (check,)), broken),
        ),
        66.5,
    )


@pytest.mark.parametrize("name", FORMATS)
@given(report=any_report, workflow=contents)
@settings(max_examples=30)
def test_any_report_can_be_printed_and_encoded_anywhere(
    name: str, report: SuiteReport, workflow: str
) -> None:
    text = FORMATS[name](report, workflow=workflow, timestamp=WHEN)
    text.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ufeff]", text)
    assert text.endswith("\n")


@given(any_report, contents)
@settings(max_examples=60)
def test_json_says_exactly_what_was_judged_in_the_shape_that_users_know(
    report: SuiteReport, workflow: str
) -> None:
    data = json.loads(json_report.render(report, workflow=workflow, timestamp=WHEN))
    assert (data["workflow"], data["timestamp"], data["format"]) == (workflow, WHEN, 1)
    summary = data["summary"]
    assert summary["total"] == len(report.results) == summary["passed"] + summary["failed"]
    assert summary["passed"] == sum(test["passed"] for test in data["tests"])
    assert 0 <= summary["successRate"] <= 100
    assert summary["llm_calls"] == sum(test["llm_calls"] for test in data["tests"])
    assert summary["tokens"] == sum(test["tokens"] for test in data["tests"])
    for test, result in zip(data["tests"], report.results, strict=True):
        assert test["name"] == result.scenario.name
        assert test["description"] == result.scenario.description
        assert test.get("error", "") == result.error
        assert test["passed"] is (test["verdict"] == "passed") is result.passed
        for found, assertion in zip(test["assertions"], result.scenario.assertions, strict=True):
            assert found["type"] == assertion.type
            assert found.get("target", "") == assertion.target
            assert found["value"] == assertion.value
            assert found.get("description", "") == assertion.description


def test_json_reads_like_this() -> None:
    data = json.loads(json_report.render(example_report(), workflow="g.yaml", timestamp=WHEN))
    assert data["summary"] == {
        "total": 4,
        "passed": 1,
        "failed": 3,
        "errors": 1,
        "duration": 66500,
        "successRate": 25.0,
        "llm_calls": 6,
        "tokens": 45,
    }
    assert data["tests"][1] == {
        "name": "Wrong",
        "description": "",
        "passed": False,
        "verdict": "failed",
        "duration": 0,
        "score": 0.5,
        "assertions": [
            {
                "type": "contains",
                "target": "greeting",
                "value": "Alice",
                "passed": False,
                "verdict": "failed",
                "message": "variable 'greeting' does not contain 'Alice'; it is 'Hi | Bob'",
                "description": "the name",
            },
            {
                "type": "state_reached",
                "value": "end",
                "passed": True,
                "verdict": "passed",
                "message": "state 'end' was reached",
            },
        ],
        "llm_calls": 2,
        "tokens": 15,
    }
    assert data["tests"][3]["error"] == "state 'greet': no reply"


@given(any_report, contents)
@settings(max_examples=60)
def test_junit_is_well_formed_and_counts_right_for_any_text(
    report: SuiteReport, workflow: str
) -> None:
    text = junit_report.render(report, workflow=workflow, timestamp=WHEN)
    root = ET.fromstring(text.encode("utf-8"))
    suite = root.find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert len(cases) == report.total == int(suite.get("tests", ""))
    for name in ("failure", "error"):
        assert len(suite.findall(f"testcase/{name}")) == int(suite.get(f"{name}s", ""))
    for case, result in zip(cases, report.results, strict=True):
        assert (len(case) == 0) == result.passed


def test_junit_tells_failures_from_errors() -> None:
    text = junit_report.render(example_report(), workflow="g.yaml", timestamp=WHEN)
    cases = ET.fromstring(text).findall("testsuite/testcase")
    told = [(case.get("name"), [(e.tag, e.get("type")) for e in case]) for case in cases]
    assert told == [
        ("Good", []),
        ("Wrong", [("failure", "contains")]),
        ("Unclear", [("error", "regex")]),
        ("Broken", [("error", "run")]),
    ]
    assert "Hi | Bob" in text
    assert cases[0].get("time") == "1.250"


def full_of(text: str) -> SuiteReport:
    checks = (Assertion(AssertionType.EQUALS, text, text, description=text),)
    scenario = Scenario(text, checks, description=text)
    failed = Rollout(
        RunStatus.FAILED, variables={text: f"{text}\n{text}!"}, error=RunError("", text)
    )
    return SuiteReport((judge_rollout(scenario, failed),))


@pytest.mark.parametrize("text", NASTY)
def test_markdown_keeps_its_structure_with_text_that_looks_like_markup(text: str) -> None:
    markdown_keeps_its_structure(full_of(text), text)


@given(any_report, contents)
@settings(max_examples=60)
def test_markdown_keeps_its_structure_whatever_the_texts_are(
    report: SuiteReport, workflow: str
) -> None:
    markdown_keeps_its_structure(report, workflow)


def headings(tokens: list[Token]) -> list[str]:
    at = [index for index, token in enumerate(tokens) if token.type == "heading_open"]
    return ["".join(child.content for child in tokens[i + 1].children or ()) for i in at]


def shown_values(result: ScenarioResult) -> list[str]:
    failed = [r for r in result.failures if r.assertion.target and r.actual is not None]
    return list({r.assertion.target: clean(r.actual or "", limit=2000) for r in failed}.values())


def markdown_keeps_its_structure(report: SuiteReport, workflow: str) -> None:
    text = markdown_report.render(report, workflow=workflow, timestamp=WHEN)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    kinds = [token.type for token in tokens]
    inline = [child.type for token in tokens for child in token.children or ()]
    assert headings(tokens)[3:] == [
        f"{number}. {one_line(result.scenario.name, limit=2000)}: {WORDS[result.verdict]}".strip()
        for number, result in enumerate(report.results, 1)
    ]
    assert [token.content for token in tokens if token.type == "fence"] == [
        f"{value}\n" for result in report.results for value in shown_values(result)
    ]
    assert kinds.count("tr_open") == 9
    assert kinds.count("list_item_open") == sum(len(r.assertions) for r in report.results)
    assert set(inline) <= {"text", "code_inline", "text_special"}
    assert not {"html_block", "hr", "code_block", "blockquote_open", "ordered_list_open"} & set(
        kinds
    )


def test_markdown_reads_like_this() -> None:
    text = markdown_report.render(example_report(), workflow="g.yaml", timestamp=WHEN)
    assert "| Passed | 1 |" in text
    assert "### 2. Wrong: FAILED" in text
    assert (
        "- FAILED: variable 'greeting' does not contain 'Alice'; it is 'Hi \\| Bob' (the name)"
        in text
    )
    assert "Value of ` greeting `:\n\n```text\nHi | Bob\n```" in text
    assert "Error: state 'greet': no reply" in text


@given(any_report, contents)
@settings(max_examples=60)
def test_text_has_a_line_for_each_scenario_and_each_reason(
    report: SuiteReport, workflow: str
) -> None:
    lines = text_report.render(report, workflow=workflow, timestamp=WHEN).splitlines()
    heads = [line for line in lines if re.match("(PASS |FAIL |ERROR) ", line)]
    wanted = {"passed": "PASS", "failed": "FAIL", "error": "ERROR"}
    assert [head.split()[0] for head in heads] == [wanted[r.verdict] for r in report.results]
    why = sum(bool(r.error) + len(r.failures) for r in report.results)
    assert sum(line.startswith("      ") for line in lines) == why
    assert lines[-1].startswith(f"{report.passed} of {report.total} passed")


def test_text_reads_like_this() -> None:
    assert text_report.render(example_report(), workflow="g.yaml", timestamp=WHEN) == (
        "g.yaml  2026-05-17T12:34:56.789Z\n"
        "\n"
        "PASS  Good  1.2 s\n"
        "FAIL  Wrong  0 ms\n"
        "      variable 'greeting' does not contain 'Alice'; it is 'Hi | Bob'  (the name)\n"
        "ERROR Unclear  1.2 s\n"
        "      the pattern '(' gave no answer: a '(' is never closed\n"
        "FAIL  Broken  1 min 5 s\n"
        "      the run failed: state 'greet': no reply\n"
        "      variable 'greeting' was never set  (the name)\n"
        "\n"
        "1 of 4 passed (25 %), 6 model calls, 45 tokens, 1 min 6 s\n"
    )


@given(st.floats(0, 1e6))
@example(59.97)
@example(0.9996)
def test_a_duration_reads_back_about_equal(seconds: float) -> None:
    units = {"ms": 0.001, "s": 1.0, "min": 60.0}
    words = duration(seconds).split()
    read = sum(float(n) * units[unit] for n, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(read - seconds) <= (0.001 if seconds < 1 else 0.051 if seconds < 60 else 0.51)
    assert "60" not in (words[-2] if words[-1] == "s" else "")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("r.json", "json"),
        ("r.junit.xml", "junit"),
        ("r.MD", "markdown"),
        ("r.txt", "text"),
        ("r.html", "html"),
        ("r.pdf", None),
        ("r", None),
    ],
)
def test_a_file_s_ending_chooses_the_form(name: str, form: str | None, tmp_path: Path) -> None:
    assert named_by(tmp_path / name) == form
