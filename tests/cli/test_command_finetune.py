"""``agentmech finetune``: a session for people, a document for programs, an honest exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commandline import GREETER, Agentmech

REPAIRING = """\
format: 1
replies:
  - {purpose: state, when: "called (?P<who>[A-Z][a-z]+) by name", reply: "Hello {{who}}!"}
  - {purpose: state, reply: "Hello you!"}
  - purpose: analysis
    when: called
    reply: {analysis: "All is well.", suggestions: []}
  - purpose: analysis
    reply: {analysis: "No name.", suggestions: [{state: greet, change: "Use the name."}]}
  - purpose: proposal
    reply: {problem: "The name is not used.", new_prompt: "Greet the person called NAME by name"}
""".replace("NAME", "{{name}}")

HOPELESS = """\
format: 1
replies:
  - {purpose: state, reply: "Hello you!"}
  - {purpose: analysis, reply: {analysis: "Bad.", suggestions: []}}
  - {purpose: proposal, reply: "no idea"}
"""

HALF = REPAIRING.replace("[A-Z][a-z]+", "Alice")

BROKEN = """\
format: 1
replies:
  - {purpose: state, reply: "Hello you!"}
  - {purpose: analysis, error: unreachable}
"""


@pytest.fixture
def scripts(greeter: Path) -> Path:
    for name, text in (
        ("repairing", REPAIRING),
        ("hopeless", HOPELESS),
        ("half", HALF),
        ("broken", BROKEN),
    ):
        (greeter.parent / f"{name}.yaml").write_text(text)
    return greeter.parent


@pytest.mark.parametrize(
    ("script", "code", "status", "rate"),
    [
        ("repairing", 0, "solved", 1.0),
        ("good", 0, "solved", 1.0),
        ("half", 0, "improved", 0.5),
        ("hopeless", 1, "unchanged", 0.0),
        ("broken", 3, "failed", 0.0),
    ],
)
def test_the_document_and_the_exit_code_say_how_it_ended(
    script: str, code: int, status: str, rate: float, agentmech: Agentmech, scripts: Path
) -> None:
    llm = ("--llm", f"script:{script}.yaml")
    done = agentmech("finetune", "greeter.yaml", *llm, "--json", "-i", "2")
    document = done.document
    assert (done.code, document["status"]) == (code, status)
    assert document["best"]["pass_rate"] == rate
    assert document["output"] == "greeter.finetuned.yaml"
    assert (scripts / "greeter.finetuned.yaml").exists()
    assert (document["error"] is None) == (code != 3)
    assert document["llm_calls"] > 0
    assert document["tokens"] > 0
    assert document["seconds"] > 0
    assert (scripts / "greeter.yaml").read_text() == GREETER


def test_the_rows_of_the_document_are_the_iterations(agentmech: Agentmech, scripts: Path) -> None:
    llm = ("--llm", "script:repairing.yaml")
    first, second = agentmech("finetune", "greeter.yaml", *llm, "--json").document["iterations"]
    assert (first["iteration"], first["passed"], first["total"]) == (1, 0, 2)
    assert (first["strategy"], first["edits"]) == ("", [])
    assert (second["passed"], second["accepted"], second["strategy"]) == (2, True, "rewrite")
    (edit,) = second["edits"]
    assert edit["op"] == "set"
    assert edit["path"] == ["states", "greet", "prompt"]
    assert edit["value"] == "Greet the person called {{name}} by name"
    assert edit["why"]
    assert Path(second["snapshot"]).name == "greeter.finetune-iter2.yaml"


def test_the_session_is_on_standard_output_and_readable_without_a_terminal(
    agentmech: Agentmech, scripts: Path
) -> None:
    done = agentmech("finetune", "greeter.yaml", "--llm", "script:repairing.yaml")
    assert done.code == 0
    assert done.err == ""
    assert done.out.startswith("AgentMech Workflow Finetune\n\n")
    assert "📊 ITERATION 2/5" in done.out
    assert "Final test status: PASSED" in done.out
    assert "Scenarios passed: 0/2 → 2/2" in done.out
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", done.out)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_poor_encoding_costs_the_pictures_only(
    encoding: str, agentmech: Agentmech, scripts: Path
) -> None:
    llm = ("--llm", "script:repairing.yaml")
    done = agentmech("finetune", "greeter.yaml", *llm, encoding=encoding)
    assert done.code == 0
    assert "ITERATION 2/5" in done.out
    assert "[ok] Finetune complete! Final workflow saved to: greeter.finetuned.yaml" in done.out
    assert "\\u" not in done.out
    assert "=" * 60 in done.out


def test_quiet_tells_the_end_alone(agentmech: Agentmech, scripts: Path) -> None:
    done = agentmech("finetune", "greeter.yaml", "--llm", "script:repairing.yaml", "-q")
    assert "ITERATION" not in done.out
    assert "Final test status: PASSED" in done.out


def test_with_json_the_session_moves_aside(agentmech: Agentmech, scripts: Path) -> None:
    llm = ("--llm", "script:repairing.yaml")
    done = agentmech("finetune", "greeter.yaml", *llm, "--json")
    json.loads(done.out)
    assert "ITERATION 1/5" in done.err


def test_every_option_of_the_command_reaches_the_loop(agentmech: Agentmech, scripts: Path) -> None:
    (scripts / "greeter.test.yaml").rename(scripts / "elsewhere.yaml")
    done = agentmech(
        "finetune", "greeter.yaml", "--llm", "script:hopeless.yaml", "-o", "improved/v2.yaml",
        "-m", "llama3:70b", "-i", "1", "--tests", "elsewhere.yaml", "--seed", "7", "-j", "1",
    )  # fmt: skip
    assert done.code == 1
    assert "Using model: llama3:70b" in done.out
    assert "max 1 iteration\n" in done.out
    assert "Found existing test file: " in done.out
    assert (scripts / "improved" / "v2.yaml").exists()
    assert not (scripts / "greeter.finetuned.yaml").exists()


def test_missing_tests_are_generated_and_used_again(agentmech: Agentmech, scripts: Path) -> None:
    (scripts / "greeter.test.yaml").unlink()
    (scripts / "any.yaml").write_text('format: 1\nreplies:\n  - reply: "Hello you!"\n')
    llm = ("--llm", "script:any.yaml")
    done = agentmech("finetune", "greeter.yaml", *llm, "-i", "1")
    assert "No test file found: generating test scenarios..." in done.out
    assert (scripts / "greeter.finetune-tests.yaml").exists()
    again = agentmech("finetune", "greeter.yaml", *llm, "-i", "1")
    assert "Found existing test file: " in again.out


def test_a_wrong_test_file_is_found_before_a_model_is_looked_for(
    agentmech: Agentmech, scripts: Path
) -> None:
    (scripts / "greeter.test.yaml").write_text("workflow: greeter.yaml\ntest_scenarios: []\n")
    done = agentmech("finetune", "greeter.yaml", "--llm", "script:missing.yaml")
    assert done.code == 2
    assert "greeter.test.yaml:2:" in done.err
    assert "missing.yaml" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (".", "is a folder"),
        ("greeter.yaml", "is the workflow itself"),
        ("./sub/../greeter.yaml", "is the workflow itself"),
        ("/dev/full", "no regular file"),
        ("-", "needs a file"),
        ("greeter.yaml/x.yaml", "cannot write into"),
    ],
)
def test_an_output_that_could_not_be_written_is_refused_at_the_start(
    output: str, words: str, agentmech: Agentmech, scripts: Path
) -> None:
    (scripts / "sub").mkdir()
    before = sorted(path.name for path in scripts.iterdir())
    done = agentmech("finetune", "greeter.yaml", "--llm", "script:good.yaml", "-o", output)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert sorted(path.name for path in scripts.iterdir()) == before


def test_a_yml_file_stays_one(agentmech: Agentmech, scripts: Path) -> None:
    (scripts / "g.yml").write_text(GREETER)
    (scripts / "g.test.yml").write_text(
        (scripts / "greeter.test.yaml").read_text().replace("greeter.yaml", "g.yml")
    )
    done = agentmech("finetune", "g.yml", "--llm", "script:good.yaml")
    assert done.code == 0
    assert (scripts / "g.finetuned.yml").exists()
