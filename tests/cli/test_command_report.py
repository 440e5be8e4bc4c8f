"""``agentmech report``, ``finetune --report`` and ``test -o``: files to send to somebody."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from commandline import Agentmech

from finetune_fsm.runs import places

GOOD = ("finetune", "greeter.yaml", "--llm", "script:good.yaml", "--no-cache", "-q")
BAD = (
    "finetune",
    "greeter.yaml",
    "--llm",
    "script:bad.yaml",
    "--no-cache",
    "-q",
    "--max-calls",
    "2",
)


def runs_of(greeter: Path) -> list[Path]:
    return places.in_home(greeter.with_name("greeter.agentmech"))


def test_a_page_is_put_into_the_run_s_folder_or_where_one_says(
    agentmech: Agentmech, greeter: Path
) -> None:
    assert agentmech(*GOOD).code == 0
    done = agentmech("report")
    (run,) = runs_of(greeter)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"report: {Path('greeter.agentmech', run.name, 'report.html')}\n"
    page = (run / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "Finetune of Greeter</h1>" in page
    assert "2 of 2 scenarios pass" in page
    outputs = ("-o", "a.html", "-o", "b.json", "-o", "c.md", "-o", "d.xml", "-o", "e.csv")
    done = agentmech("report", "greeter.yaml", *outputs, "--json")
    assert done.document["reports"] == ["a.html", "b.json", "c.md", "d.xml", "e.csv"]
    folder = greeter.parent
    assert (folder / "a.html").read_text() == page
    assert json.loads((folder / "b.json").read_text()) == agentmech("show", "--json").document
    assert (folder / "c.md").read_text().startswith("# Finetune of ")
    assert len(ET.parse(folder / "d.xml").findall(".//testcase")) == 2
    assert (folder / "e.csv").read_text().count("Greets ") == 2


def test_a_finetune_writes_its_reports_however_it_ends(agentmech: Agentmech, greeter: Path) -> None:
    assert agentmech(*GOOD, "--report", "good.html", "--report", "good.md").code == 0
    assert "passed to" not in greeter.with_name("good.md").read_text()
    assert "2 of 2 scenarios pass" in greeter.with_name("good.html").read_text()
    assert agentmech(*BAD, "--report", "bad.html").code == 1
    assert "the budget of LLM calls is spent" in greeter.with_name("bad.html").read_text()
    script = greeter.with_name("empty.yaml")
    script.write_text("format: 1\nreplies:\n  - {purpose: route, reply: '1'}\n")
    done = agentmech(
        "finetune", "greeter.yaml", "--llm", "script:empty.yaml", "--report", "no.html"
    )
    assert done.code == 3
    assert "Nothing is judged yet" in greeter.with_name("no.html").read_text()


def test_two_runs_are_held_against_each_other(agentmech: Agentmech, greeter: Path) -> None:
    assert agentmech(*BAD).code == 1
    assert agentmech(*GOOD).code == 0
    bad, good = (run.name for run in runs_of(greeter))
    done = agentmech("report", good, "--compare", bad, "--fail-on-regression")
    assert done.code == 0
    assert "2 fixed, 0 regressed, 0 the same; p = 0.500 (exact sign test)" in done.out
    assert "Fixed: 2\n  + Greets Alice\n  + Greets Bob\n" in done.out
    back = agentmech("report", bad, "--compare", good)
    assert back.code == 0
    assert "Regressed: 2\n  - Greets Alice: variable 'greeting' does not contain" in back.out
    assert not list(greeter.parent.rglob("report.html"))
    failed = agentmech("report", bad, "--compare", good, "--fail-on-regression", "--json")
    assert failed.code == 1
    found = failed.document["comparison"]
    assert [row["scenario"] for row in found["regressed"]] == ["Greets Alice", "Greets Bob"]
    assert (found["fixed"], found["same"]) == ([], {"passed": [], "failed": []})
    assert found["p_value"] == 0.5


def test_scenarios_that_only_one_run_has_are_named(agentmech: Agentmech, greeter: Path) -> None:
    assert agentmech(*GOOD).code == 0
    tests = greeter.with_name("greeter.test.yaml")
    tests.write_text(tests.read_text().replace("Greets Bob", "Greets him"))
    assert agentmech(*GOOD).code == 0
    old, new = (run.name for run in runs_of(greeter))
    done = agentmech("report", new, "--compare", old)
    assert "0 fixed, 0 regressed, 1 the same" in done.out
    assert "In the baseline alone: 1\n    Greets Bob" in done.out
    assert "Not in the baseline: 1\n    Greets him" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "-o", "x.png"), "ends in none of .txt, .json"),
        (("report", "-o", "greeter.yaml"), "ends in none of"),
        (("report", "-o", "a.md", "-o", "a.md"), "same file twice"),
        (("report", "-o", "folder.html"), "is a folder"),
        (("report", "--fail-on-regression"), "goes with --compare"),
        (("report", "--compare", "greeter.yaml"), "with itself"),
        ((*GOOD, "--report", "x.png"), "ends in none of"),
        (("test", "greeter.yaml", "-o", "a.html", "-o", "b.png"), "ends in none of"),
        (("test", "greeter.yaml", "-o", "a.md", "-o", "a.md"), "same file twice"),
        (("test", "greeter.yaml", "-o", "a.md", "-o", "b.md", "-f", "text"), "leave --format out"),
        (("test", "greeter.yaml", "-o", "a.md", "-o", "b.md", "--json"), "leave --json out"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    arguments: tuple[str, ...], message: str, agentmech: Agentmech, greeter: Path
) -> None:
    if arguments[0] == "report":
        assert agentmech(*GOOD).code == 0
    greeter.with_name("folder.html").mkdir()
    before = {path: path.read_text() for path in greeter.parent.rglob("*") if path.is_file()}
    done = agentmech(*arguments)
    assert done.code == 2
    assert message in done.err
    after = {path: path.read_text() for path in greeter.parent.rglob("*") if path.is_file()}
    assert after == before


def test_tests_are_written_into_several_files(agentmech: Agentmech, greeter: Path) -> None:
    command = ("test", "greeter.yaml", "--llm", "script:good.yaml")
    done = agentmech(*command, "-o", "r.html", "-o", "r.xml", "-o", "-")
    assert done.code == 0
    assert "2 of 2 passed" in done.out  # the text, live
    page = greeter.with_name("r.html").read_text()
    assert "Hello Alice!" in page
    assert "Greet Alice" in page  # what was asked
    assert len(ET.parse(greeter.with_name("r.xml")).findall(".//testcase")) == 2
    shown = agentmech(*command, "-f", "html", encoding="ascii").out
    assert shown.startswith("<!doctype html>")
    assert "Hello Alice!" in shown


def test_a_page_says_what_regressed_since_another_run(agentmech: Agentmech, greeter: Path) -> None:
    assert agentmech(*GOOD).code == 0
    assert agentmech(*BAD).code == 1
    older, newer = runs_of(greeter)
    assert agentmech("report", newer, "--compare", older, "-o", "a.html").code == 0
    page = (greeter.parent / "a.html").read_text()
    assert "0 fixed, 2 regressed, 0 the same" in page
    assert "<h3>Regressed: 2 scenarios</h3><ul><li>Greets Alice: " in page
    assert agentmech("report", newer, "-o", "b.html").code == 0
    assert "regressed" not in (greeter.parent / "b.html").read_text()


def test_a_resumed_run_writes_reports_too(agentmech: Agentmech, greeter: Path) -> None:
    assert agentmech(*GOOD, "--max-calls", "1").code in (0, 1)
    reports = ("--report", "a.html", "--report", "b.json")
    done = agentmech("resume", "--llm", "script:good.yaml", "--max-calls", "50", *reports)
    assert done.code == 0, done.err
    assert "report: a.html" in done.err
    folder = greeter.parent
    assert "2 of 2 scenarios pass" in (folder / "a.html").read_text()
    assert json.loads((folder / "b.json").read_text()) == agentmech("show", "--json").document


@pytest.mark.parametrize("wrong", ["a.nothing", "greeter.yaml", "greeter.test.yaml"])
def test_a_resumed_run_asks_no_model_when_a_report_cannot_be_written(
    wrong: str, agentmech: Agentmech, greeter: Path
) -> None:
    assert agentmech(*GOOD, "--max-calls", "1").code in (0, 1)
    (run,) = runs_of(greeter)
    before = (run / places.JOURNAL).read_bytes()
    done = agentmech("resume", "--max-calls", "50", "--report", wrong)
    assert done.code == 2
    assert (run / places.JOURNAL).read_bytes() == before
