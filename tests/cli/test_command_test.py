"""``agentmech test``: every form of the report, and the code that a script goes by."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from commandline import GREETER, Agentmech

from finetune_fsm.cli.test import FORMATS
from finetune_fsm.reports import formats

GOOD = ("--llm", "script:good.yaml")
BAD = ("--llm", "script:bad.yaml")


def test_the_command_knows_all_forms_of_the_reports() -> None:
    assert set(FORMATS) == set(formats.FORMATS)


@pytest.mark.parametrize("file", ["greeter.yaml", "greeter.test.yaml"])
def test_a_workflow_and_its_test_file_are_the_same_suite(
    file: str, agentmech: Agentmech, greeter: Path
) -> None:
    assert greeter.exists()
    done = agentmech("test", file, *GOOD)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "Testing greeter.yaml"
    assert lines[2].startswith("PASS  Greets Alice")
    assert lines[3].startswith("PASS  Greets Bob")
    assert lines[-1].startswith("2 of 2 passed (100 %), 2 model calls")
    assert done.err == ""


def test_failing_scenarios_are_told_why_and_end_with_one(
    agentmech: Agentmech, greeter: Path
) -> None:
    assert greeter.exists()
    done = agentmech("test", "greeter.yaml", *BAD)
    assert done.code == 1
    assert re.search(r"FAIL  Greets Alice .*\n      variable 'greeting' does not", done.out)
    assert "0 of 2 passed (0 %)" in done.out


def test_quiet_shows_failures_and_the_verdict(agentmech: Agentmech, greeter: Path) -> None:
    tests = greeter.with_name("greeter.test.yaml")
    tests.write_text(
        tests.read_text().replace("target: greeting, value: Bob", "target: greeting, value: Bo b")
    )
    done = agentmech("test", "greeter.yaml", *GOOD, "-q")
    assert done.code == 1
    assert "Alice" not in done.out
    assert "FAIL  Greets Bob" in done.out
    assert "1 of 2 passed (50 %)" in done.out


def test_json_has_the_shape_that_users_know(agentmech: Agentmech, greeter: Path) -> None:
    assert greeter.exists()
    for arguments in (("--json",), ("--format", "json"), ("-f", "json", "-o", "-")):
        done = agentmech("test", "greeter.yaml", *BAD, *arguments)
        document = done.document
        assert done.code == 1
        assert done.out.isascii()
        assert document["workflow"] == "greeter.yaml"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["timestamp"])
        summary = document["summary"]
        assert (summary["total"], summary["passed"], summary["failed"]) == (2, 0, 2)
        assert summary["successRate"] == 0
        assert [test["name"] for test in document["tests"]] == ["Greets Alice", "Greets Bob"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_report_is_well_formed_in_every_encoding(
    encoding: str, agentmech: Agentmech, greeter: Path
) -> None:
    tests = greeter.with_name("greeter.test.yaml")
    tests.write_text(tests.read_text().replace("Greets Bob", "Grüßt 🎈"))
    junit = agentmech("test", "greeter.yaml", *BAD, "--format", "junit", encoding=encoding)
    names = [case.get("name") for case in ET.fromstring(junit.out).iter("testcase")]
    assert names == ["Greets Alice", "Grüßt 🎈"]
    document = agentmech("test", "greeter.yaml", *BAD, "--json", encoding=encoding).document
    assert document["tests"][1]["name"] == "Grüßt 🎈"
    markdown = agentmech("test", "greeter.yaml", *BAD, "-f", "markdown", encoding=encoding)
    assert markdown.out.startswith("# ")


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("r.json", "{"),
        ("r.md", "# "),
        ("r.xml", "<?xml"),
        ("r.txt", "greeter.yaml"),
        ("R.XML", "<"),
    ],
)
def test_the_ending_of_the_output_says_the_form(
    name: str, begins: str, agentmech: Agentmech, greeter: Path
) -> None:
    done = agentmech("test", "greeter.yaml", *GOOD, "-o", f"new/{name}")
    assert (done.code, done.out) == (0, "")
    assert (greeter.parent / "new" / name).read_text().startswith(begins)
    assert "2 of 2 passed" in done.err
    assert f"report: new/{name}" in done.err


def test_a_test_file_can_be_turned_on_another_workflow(agentmech: Agentmech, greeter: Path) -> None:
    other = greeter.with_name("other.yaml")
    other.write_text(GREETER.replace('"Greet {{name}}"', '"Say nothing"'))
    script = greeter.with_name("both.yaml")
    script.write_text(
        "format: 1\nreplies:\n"
        '  - {when: "Greet (?P<who>.*)", reply: "Hello {{who}}!"}\n'
        '  - {reply: "..."}\n'
    )
    llm = ("--llm", "script:both.yaml")
    assert agentmech("test", "greeter.test.yaml", *llm).code == 0
    done = agentmech("test", "greeter.test.yaml", *llm, "-w", "other.yaml")
    assert done.code == 1
    assert "Testing other.yaml" in done.out


def test_a_finetuned_workflow_is_tested_with_the_tests_of_the_first(
    agentmech: Agentmech, greeter: Path
) -> None:
    tuned = greeter.with_name("greeter.finetuned.yaml")
    tuned.write_text(GREETER.replace('"Greet {{name}}"', '"Say nothing"'))
    done = agentmech("test", tuned.name, *BAD)
    assert done.code == 1
    assert "Testing greeter.finetuned.yaml" in done.out


def test_without_a_model_the_code_is_another_one(agentmech: Agentmech, greeter: Path) -> None:
    script = greeter.with_name("gone.yaml")
    script.write_text(json.dumps({"format": 1, "replies": [{"error": "unreachable"}]}))
    done = agentmech("test", "greeter.yaml", "--llm", "script:gone.yaml", "--json")
    assert done.code == 3
    assert done.document["error"]["exit_code"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lonely.yaml",), "has no test file"),
        (("greeter.yaml", "-w", "greeter.yaml"), "goes with a test file"),
        (("greeter.test.yaml", "-w", "nope.yaml"), "does not exist"),
        (("greeter.yaml", "-o", "report"), "say --format"),
        (("greeter.yaml", "-o", "."), "say --format"),
        (("greeter.yaml", "-o", "greeter.yaml", "-f", "json"), "is an input"),
        (("greeter.yaml", "-o", "greeter.test.yaml", "-f", "text"), "is an input"),
        (("greeter.yaml", "-o", "folder.json"), "is a folder"),
        (("greeter.yaml", "-f", "pdf"), "pdf"),
        (("greeter.yaml", "--json", "-f", "junit"), "contradict"),
        (("-",), "needs a file"),
    ],
)
def test_what_cannot_be_tested_or_written_is_refused(
    arguments: tuple[str, ...], words: str, agentmech: Agentmech, greeter: Path
) -> None:
    greeter.with_name("lonely.yaml").write_text(GREETER)
    greeter.with_name("folder.json").mkdir()
    before = {path: path.read_bytes() for path in greeter.parent.iterdir() if path.is_file()}
    done = agentmech("test", *arguments, *GOOD)
    assert done.code == 2
    assert words in done.err
    after = {path: path.read_bytes() for path in greeter.parent.iterdir() if path.is_file()}
    assert after == before


def test_warnings_stand_beside_the_report(agentmech: Agentmech, greeter: Path) -> None:
    tests = greeter.with_name("greeter.test.yaml")
    tests.write_text(tests.read_text() + "colour: red\n")
    done = agentmech("test", "greeter.yaml", *GOOD)
    assert done.code == 0
    assert "warning: unknown key 'colour'" in done.err
    assert "colour" not in done.out


def test_a_trace_has_a_line_for_each_scenario_with_all_that_was_said(
    agentmech: Agentmech, greeter: Path
) -> None:
    done = agentmech("test", "greeter.yaml", *BAD, "--trace", "new/trace.jsonl", "-q")
    assert done.code == 1
    path = greeter.parent / "new" / "trace.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["scenario"] for line in lines] == ["Greets Alice", "Greets Bob"]
    for line, name in zip(lines, ("Alice", "Bob"), strict=True):
        assert line["verdict"] == "failed"
        *_, last = line["rollout"]["visits"]
        assert name in last["prompt"]
        assert last["completion"] == line["assertions"][0]["actual"] != ""


def test_a_trace_never_takes_the_place_of_an_input(agentmech: Agentmech, greeter: Path) -> None:
    before = greeter.read_text()
    done = agentmech("test", "greeter.yaml", *GOOD, "--trace", "greeter.yaml")
    assert done.code == 2
    assert "never overwritten" in done.err
    assert greeter.read_text() == before


def test_thousands_of_scenarios_fit_in_one_file(agentmech: Agentmech, greeter: Path) -> None:
    tests = greeter.with_name("greeter.test.yaml")
    head, _, _ = tests.read_text().partition("test_scenarios:")
    scenario = (
        "  - name: Number {}\n    inputs: [{{state: ask, value: Bob}}]\n"
        "    assertions: [{{type: contains, target: greeting, value: Bob}}]\n"
    )
    count = 3000
    tests.write_text(f"{head}test_scenarios:\n" + "".join(map(scenario.format, range(count))))
    done = agentmech("test", "greeter.yaml", *GOOD, "-q")
    assert (done.code, done.err) == (0, "")
    assert f"{count} of {count} passed" in done.out
