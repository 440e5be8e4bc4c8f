"""The reports for spreadsheets and for GitHub: exact, and harmless there."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts
from suites import reports

from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus
from finetune_fsm.reports import csv_report, github_report, markdown_report
from finetune_fsm.reports.formats import FORMATS
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, SuiteReport
from finetune_fsm.sinks import look_again

WHEN = "2026-05-17T12:34:56Z"
KEY = "sk-0123456789-abcdef"
NASTY = st.sampled_from(
    ["::error::x", "\n::stop-commands::x\n", "##[error]x", "=cmd()|' /C calc'!A0", 'a,b;"c"', KEY]
)
contents = NASTY | texts() | st.text(max_size=20)
any_report = reports(contents)


def example_report() -> SuiteReport:
    check = Assertion(AssertionType.CONTAINS, "Alice", "greeting", description="the name")
    good = Rollout(RunStatus.COMPLETED, (), ("end",), {"greeting": "Hi Alice"}, seconds=1.25)
    other = Rollout(RunStatus.COMPLETED, (), ("end",), {"greeting": "=Bob"})
    broken = Rollout(RunStatus.FAILED, error=RunError("greet", "no reply"), seconds=65)
    return SuiteReport(
        (
            judge_rollout(Scenario("Good", (check,), description="It works."), good),
            judge_rollout(Scenario("=Wrong, 50 %", (check,)), other),
            judge_rollout(Scenario("Broken", (check,)), broken),
        ),
        66.5,
    )


@given(any_report, contents)
@settings(max_examples=60)
def test_csv_has_a_row_for_each_scenario_and_no_formula(report: SuiteReport, name: str) -> None:
    text = csv_report.render(report, workflow=name, timestamp=WHEN)
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert tuple(header) == csv_report.HEADER
    assert len(rows) == report.total
    for row, result in zip(rows, report.results, strict=True):
        assert len(row) == len(header)
        assert row[4] == result.verdict
        assert row[6:8] == [str(len(result.assertions)), str(len(result.failures))]
        for cell in row:
            assert cell[:1] not in tuple("=+-@\t\r\n")


def test_csv_reads_like_this() -> None:
    text = csv_report.render(example_report(), workflow="g.yaml", timestamp=WHEN)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["verdict"] for row in rows] == ["passed", "failed", "failed"]
    assert rows[0]["duration_ms"] == "1250"
    assert rows[1]["scenario"] == "'=Wrong, 50 %"
    assert rows[2]["reasons"] == (
        "the run failed: state 'greet': no reply\nvariable 'greeting' was never set  (the name)"
    )


def commands(output: str) -> list[str]:
    """The commands that GitHub's runner finds in *output*."""
    found: list[str] = []
    stopped = ""
    for line in output.split("\n"):
        bare = line.lstrip()
        if stopped:
            stopped = "" if bare == f"::{stopped}::" else stopped
        elif bare.startswith("::stop-commands::"):
            stopped = bare.removeprefix("::stop-commands::")
        elif bare.startswith("::") or "##[" in line:
            found.append(bare)
    assert not stopped
    return found


@given(any_report, contents, st.lists(st.integers(0, 99), max_size=3))
@settings(max_examples=60)
def test_the_runner_finds_one_mark_for_each_scenario_that_failed(
    report: SuiteReport, name: str, lines: list[int]
) -> None:
    text = github_report.render(
        report, workflow=name, timestamp=WHEN, file="t.yaml", lines=lines[: report.total]
    )
    found = commands(text)
    assert len(found) == report.total - report.passed
    pattern = r"::error title=[^:,]*,file=t\.yaml(,line=[1-9]\d*)?::[^\n]*"
    assert all(re.fullmatch(pattern, mark) for mark in found)


def test_the_marks_stand_at_the_scenarios() -> None:
    text = github_report.render(
        example_report(), workflow="g.yaml", timestamp=WHEN, file="a/g.test.yaml", lines=(3, 7, 11)
    )
    wrong = "variable 'greeting' does not contain 'Alice'; it is '=Bob'  (the name)"
    broken = (
        "the run failed: state 'greet': no reply%0Avariable 'greeting' was never set  (the name)"
    )
    assert commands(text) == [
        f"::error title=failed%3A =Wrong%2C 50 %25,file=a/g.test.yaml,line=7::{wrong}",
        f"::error title=failed%3A Broken,file=a/g.test.yaml,line=11::{broken}",
    ]
    assert "1 of 3 passed" in text


@given(any_report, st.integers(600, 5000))
@settings(max_examples=60)
def test_a_summary_is_never_longer_than_allowed_and_says_what_is_left_out(
    report: SuiteReport, limit: int
) -> None:
    whole = markdown_report.render(report, workflow="w", timestamp=WHEN)
    text = github_report.summary(report, workflow="w", timestamp=WHEN, limit=limit)
    assert len(text.encode()) <= limit
    if text != whole:
        assert len(whole.encode()) > limit - 120
        assert re.search(r"\n\n\d+ more scenarios are left out", text)
    assert github_report.summary(report, workflow="w", timestamp=WHEN) == whole


@pytest.mark.parametrize("name", FORMATS)
@given(place=st.integers(0, 6), around=st.text(max_size=5))
@settings(max_examples=30)
def test_no_report_shows_a_secret(name: str, place: int, around: str) -> None:
    texts = ["x"] * 7
    texts[place] = f"{around}{KEY}{around}"
    workflow, scenario, described, value, target, actual, error = texts
    check = Assertion(AssertionType.EQUALS, value, target, description=described)
    failed = Rollout(
        RunStatus.FAILED, variables={target: f"{actual} "}, error=RunError("s", error), seconds=1
    )
    report = SuiteReport((judge_rollout(Scenario(scenario, (check,), {}, described), failed),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_API_KEY", KEY)
        look_again()
        text = FORMATS[name](report, workflow=workflow, timestamp=WHEN)
    look_again()
    assert KEY not in text
    if texts[1] != "x":  # every report names its scenarios
        assert "***" in text.replace("\\", "")
