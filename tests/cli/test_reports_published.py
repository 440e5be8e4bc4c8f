"""``agentmech test`` for spreadsheets and on GitHub's runner, from the command line on."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from commandline import Agentmech

GOOD = ("--llm", "script:good.yaml")
BAD = ("--llm", "script:bad.yaml")


def test_csv_goes_to_standard_output_or_to_a_file(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("test", "greeter.yaml", *BAD, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert done.code == 1
    assert [(row["scenario"], row["verdict"]) for row in rows] == [
        ("Greets Alice", "failed"),
        ("Greets Bob", "failed"),
    ]
    done = agentmech("test", "greeter.yaml", *GOOD, "-o", "r.csv")
    assert (done.code, done.out) == (0, "")
    assert greeter.with_name("r.csv").read_text().startswith('"workflow","timestamp"')


def test_github_gets_marks_at_the_lines_of_the_test_file(
    agentmech: Agentmech, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(greeter.parent.parent))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    done = agentmech("test", "greeter.yaml", *BAD, "-f", "github")
    marks = [line for line in done.out.splitlines() if line.startswith("::error")]
    lines = greeter.with_name("greeter.test.yaml").read_text().splitlines()
    assert done.code == 1
    assert len(marks) == 2
    for mark, name in zip(marks, ("Greets Alice", "Greets Bob"), strict=True):
        number = 1 + next(n for n, line in enumerate(lines) if name in line)
        assert f"title=failed%3A {name},file={greeter.parent.name}/greeter.test.yaml" in mark
        assert f",line={number}::variable 'greeting' does not contain" in mark
    assert "0 of 2 passed" in done.out


def test_the_step_s_summary_is_appended_to(
    agentmech: Agentmech, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = greeter.with_name("summary.md")
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    done = agentmech("test", "greeter.yaml", *GOOD, "-f", "github", "-o", "log.txt")
    assert (done.code, done.out) == (0, "")
    told = summary.read_text()
    assert told.startswith("before\n# Test report: greeter.yaml\n")
    assert "### 2. Greets Bob: passed" in told
    assert greeter.with_name("log.txt").read_text().startswith("::stop-commands::")
    agentmech("test", "greeter.yaml", *GOOD)
    assert summary.read_text() == told


@pytest.mark.parametrize("place", [".", "/dev/full", "missing/summary.md"])
def test_a_summary_that_cannot_be_written_costs_the_report_nothing(
    place: str, agentmech: Agentmech, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", place)
    assert greeter.exists()
    done = agentmech("test", "greeter.yaml", *BAD, "-f", "github")
    assert done.code == 1
    assert done.out.count("::error ") == 2
    assert "warning: the step has no summary: " in done.err


def test_a_secret_of_the_environment_is_nowhere(
    agentmech: Agentmech, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-0123456789-abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    script = greeter.with_name("leak.yaml")
    script.write_text(f'format: 1\nreplies:\n  - {{reply: "Your key is {key}!"}}\n')
    tests = greeter.with_name("greeter.test.yaml")
    tests.write_text(tests.read_text().replace("Greets Bob", f"Greets {key}"))
    llm = ("--llm", "script:leak.yaml")
    for form in ("text", "json", "markdown", "junit", "csv", "github"):
        done = agentmech("test", "greeter.yaml", *llm, "-f", form, "-vv")
        assert done.code == 1
        assert key not in done.out + done.err
        agentmech("test", "greeter.yaml", *llm, "-f", form, "-o", f"report.{form}")
        report = greeter.with_name(f"report.{form}").read_text()
        assert key not in report
        assert "***" in report.replace("\\", "")
    for extra in ((), ("--json",), ("-vv",), ("--log-file", "all.log")):
        done = agentmech("run", "greeter.yaml", *llm, "--input", "ask=Al", *extra)
        assert done.code == 0
        assert "Your key is ***!" in done.out
        assert key not in done.out + done.err
    assert key not in greeter.with_name("all.log").read_text()
    greeter.write_text(greeter.read_text() + f"    {key}: 1\n")
    done = agentmech("validate", "greeter.yaml")
    assert "unknown key '***'" in done.out
    assert "***: 1\n" in done.out
    assert key not in done.out + done.err


def test_what_is_written_for_programs_and_models_stays_exact(
    agentmech: Agentmech, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-0123456789-abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    script = greeter.with_name("exact.yaml")
    script.write_text(
        "format: 1\nreplies:\n"
        f'  - {{when: "Greet Al {key}", reply: "exact"}}\n'
        '  - {reply: "something else"}\n'
    )
    done = agentmech(
        "run", "greeter.yaml", "--llm", "script:exact.yaml", "--input", f"ask=Al {key}", "--trace"
    )
    assert done.out == "exact\n"
    (trace,) = Path.home().glob(".agentmech/runs/*/trace.jsonl")
    assert f"Greet Al {key}" in trace.read_text()
