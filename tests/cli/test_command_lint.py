"""``agentmech lint``: findings for people and programs, blame from runs, and obvious repairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import GREETER, GREETER_TESTS, Agentmech

MISSPELT = GREETER.replace("{{name}}", "{{nmae}}  # kept")
GOOD = ("--llm", "script:good.yaml")
BAD = ("--llm", "script:bad.yaml")


@pytest.fixture
def flawed(greeter: Path) -> Path:
    greeter.write_text(MISSPELT)
    return greeter


def test_nothing_is_found_in_a_sound_workflow(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("lint", "greeter.yaml", "--strict")
    assert (done.code, done.out) == (0, "greeter.yaml: nothing found\n")
    assert agentmech("lint", "greeter.yaml", "-q").out == ""
    assert agentmech("lint", "-", stdin=GREETER).out == "<stdin>: nothing found\n"


def test_a_finding_is_shown_with_its_place_its_reason_and_its_repair(
    agentmech: Agentmech, flawed: Path
) -> None:
    done = agentmech("lint", "greeter.yaml")
    assert done.code == 0
    assert "greeter.yaml:13:13: warning: nothing sets {{nmae}}, so it stays as written" in done.out
    assert '   13 |     prompt: "Greet {{nmae}}  # kept"\n      |             ^\n' in done.out
    assert "        because the model reads the braces instead of what belongs there\n" in done.out
    assert "        repair: set greet.prompt to 'Greet {{name}} # kept'\n" in done.out
    assert done.out.splitlines()[-1] == (
        "greeter.yaml: 2 findings, 2 with an obvious repair (--fix)"
    )
    assert agentmech("lint", "greeter.yaml", "--strict").code == 1
    quiet = agentmech("lint", "greeter.yaml", "-q")
    assert quiet.out == "greeter.yaml: 2 findings, 2 with an obvious repair (--fix)\n"


def test_the_document_has_the_same_values(agentmech: Agentmech, flawed: Path) -> None:
    done = agentmech("lint", "greeter.yaml", "--json")
    assert done.code == 0
    document = done.document
    assert document["summary"] == {"errors": 0, "warnings": 2, "repairable": 2}
    (file,) = document["files"]
    assert (file["workflow"], file["tests"]) == ("greeter.yaml", "greeter.test.yaml")
    assert (file["errors"], file["run"], file["fixed"]) == ([], None, None)
    finding = next(f for f in file["findings"] if f["code"] == "unset_placeholder")
    assert finding == {
        "severity": "warning",
        "code": "unset_placeholder",
        "file": "greeter.yaml",
        "path": "/states/greet/prompt",
        "message": "nothing sets {{nmae}}, so it stays as written",
        "hint": "did you mean 'name'?",
        "line": 13,
        "column": 13,
        "why": "the model reads the braces instead of what belongs there",
        "state": "greet",
        "field": "prompt",
        "scenarios": [],
        "repair": [
            {"op": "set", "path": ["states", "greet", "prompt"], "value": "Greet {{name}}  # kept"}
        ],
    }


def test_an_invalid_workflow_is_told_as_by_validate(agentmech: Agentmech, greeter: Path) -> None:
    greeter.write_text(GREETER.replace("start_state: ask", "start_state: aks"))
    (greeter.parent / "other.yaml").write_text(GREETER)
    done = agentmech("lint", "greeter.yaml", "other.yaml")
    assert done.code == 2
    assert "greeter.yaml:3:14: error: " in done.out
    assert "did you mean 'ask'?" in done.out
    assert done.out.endswith("greeter.yaml: 1 error\nother.yaml: nothing found\n")
    document = agentmech("lint", "greeter.yaml", "--json").document
    assert [e["code"] for e in document["files"][0]["errors"]] == ["unknown_target"]


def test_tests_are_found_beside_it_or_named(agentmech: Agentmech, greeter: Path) -> None:
    tests = greeter.with_name("greeter.test.yaml")
    wanted = GREETER_TESTS.replace("target: greeting", "target: gretting", 1)
    tests.write_text(wanted)
    done = agentmech("lint", "greeter.yaml")
    assert "scenarios look at 'gretting', and no run saves it" in done.out
    assert "        scenarios: 'Greets Alice'\n" in done.out
    assert "greeter.test.yaml:6:" in done.out  # what `validate` says of the test file itself
    other = tests.rename(greeter.with_name("other.yaml"))
    assert agentmech("lint", "greeter.yaml").out == "greeter.yaml: nothing found\n"
    assert "gretting" in agentmech("lint", "greeter.yaml", "--tests", other.name).out
    assert agentmech("lint", "greeter.yaml", "--tests", "missing.yaml").code == 2


def test_runs_point_at_the_field_to_change(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("lint", "greeter.yaml", *BAD)
    assert done.code == 0
    assert (
        "greeter.yaml:13:13: warning: failing scenarios point at greet.prompt: "
        "it writes 'greeting'" in done.out
    )
    assert (
        "        wanted: the answer must contain: Alice; the answer must contain: Bob\n" in done.out
    )
    assert "        scenarios: 'Greets Alice', 'Greets Bob'\n" in done.out
    assert done.out.splitlines()[-1] == "greeter.yaml: 1 finding, 0 of 2 scenarios passed"
    document = agentmech("lint", "greeter.yaml", *BAD, "--json").document
    (file,) = document["files"]
    assert file["run"] == {"total": 2, "passed": 0}
    assert [(f["state"], f["field"]) for f in file["findings"]] == [("greet", "prompt")]
    good = agentmech("lint", "greeter.yaml", *GOOD, "--run", "--strict")
    assert (good.code, good.out) == (0, "greeter.yaml: nothing found, 2 of 2 scenarios passed\n")


def test_a_model_is_asked_for_replies_alone(agentmech: Agentmech, greeter: Path) -> None:
    script = greeter.with_name("only.yaml")
    script.write_text('format: 1\nreplies: [{purpose: state, reply: "Hi"}]\n')
    assert agentmech("lint", "greeter.yaml", "--llm", "script:only.yaml").code == 0


def test_without_a_model_or_without_tests_there_is_no_run(
    agentmech: Agentmech, greeter: Path
) -> None:
    greeter.with_name("gone.yaml").write_text("format: 1\nreplies: [{error: unreachable}]\n")
    assert agentmech("lint", "greeter.yaml", "--llm", "script:gone.yaml").code == 3
    greeter.with_name("greeter.test.yaml").unlink()
    done = agentmech("lint", "greeter.yaml", *GOOD)
    assert done.code == 2
    assert "'greeter.yaml' has no tests to run — name them with --tests" in done.err


def test_obvious_repairs_are_written_beside_and_the_source_stays(
    agentmech: Agentmech, flawed: Path
) -> None:
    done = agentmech("lint", "greeter.yaml", "--fix", "-o", "new/fixed.yaml")
    assert done.code == 0
    assert "repaired: nothing sets {{nmae}}, so it stays as written\n" in done.out
    assert done.out.splitlines()[-1] == "greeter.yaml: nothing left"
    assert done.err == "written: new/fixed.yaml\n"
    assert flawed.read_text() == MISSPELT
    fixed = flawed.parent / "new" / "fixed.yaml"
    assert fixed.read_text() == MISSPELT.replace("nmae", "name")
    assert agentmech("lint", str(fixed), "--strict").code == 0
    document = agentmech("lint", "greeter.yaml", "--fix", "-o", "x.yaml", "--json").document
    assert document["summary"]["warnings"] == 0
    repaired = document["files"][0]["fixed"]
    assert (repaired["output"], repaired["refused"]) == ("x.yaml", [])
    assert {finding["code"] for finding in repaired["made"]} == {"unset_placeholder", "unused_save"}


def test_what_only_a_person_may_change_is_told(agentmech: Agentmech, greeter: Path) -> None:
    greeter.write_text(GREETER.replace("start_state: ask", "start_state: greet"))
    done = agentmech("lint", "greeter.yaml", "--fix", "-o", "fixed.yaml", "--strict")
    assert done.code == 1
    assert "not repaired: a run begins at 'greet', past 'ask', which leads there" in done.out
    assert greeter.with_name("fixed.yaml").read_text() == greeter.read_text()


def test_paths_still_lead_to_their_files_from_another_folder(
    agentmech: Agentmech, flawed: Path
) -> None:
    (flawed.parent / "more.txt").write_text("more")
    flawed.write_text(
        MISSPELT.replace("    save_as: greeting", "    files: [more.txt]\n    save_as: greeting")
    )
    assert agentmech("lint", "greeter.yaml", "--fix", "-o", "new/fixed.yaml").code == 0
    assert "../more.txt" in (flawed.parent / "new" / "fixed.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("greeter.yaml", "--fix"), "--fix needs -o"),
        (("greeter.yaml", "-o", "x.yaml"), "-o goes with --fix"),
        (("greeter.yaml", "--fix", "-o", "greeter.yaml"), "never overwritten"),
        (("greeter.yaml", "--tests", "greeter.test.yaml", "--fix", "-o", "greeter.test.yaml"),
         "never overwritten"),
        (("greeter.yaml", "--fix", "-o", "."), "is a folder"),
        (("greeter.yaml", "good.yaml", "--fix", "-o", "x.yaml"), "goes with one workflow"),
        (("greeter.yaml", "good.yaml", "--tests", "x"), "goes with one workflow"),
        (("greeter.test.yaml",), "is a test file"),
        (("missing.yaml",), "does not exist"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_bad_input(
    arguments: tuple[str, ...], said: str, agentmech: Agentmech, greeter: Path
) -> None:
    before = sorted(path.read_bytes() for path in greeter.parent.iterdir())
    done = agentmech("lint", *arguments)
    assert done.code == 2
    assert said in done.out + done.err
    assert sorted(path.read_bytes() for path in greeter.parent.iterdir()) == before
