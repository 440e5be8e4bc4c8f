"""``agentmech validate`` and ``graph``: every problem with its place, for people and programs."""

from __future__ import annotations

from pathlib import Path

from commandline import GREETER, Agentmech
from hypothesis import given, settings
from hypothesis import strategies as st

BROKEN = """\
name: Broken
start_state: gret
states:
  greet:
    tpye: prompt
    prompt: "Hello"
    next: nowhere
"""


def test_a_valid_file_is_called_so(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("validate", "greeter.yaml", "greeter.test.yaml")
    assert done.code == 0
    assert done.out == "greeter.yaml: valid\ngreeter.test.yaml: valid\n"
    assert agentmech("validate", "greeter.yaml", "-q").out == ""


def test_all_problems_are_shown_with_line_caret_and_fix(
    agentmech: Agentmech, tmp_path: Path
) -> None:
    (tmp_path / "b.yaml").write_text(BROKEN)
    done = agentmech("validate", "b.yaml")
    assert done.code == 2
    assert "b.yaml:2:14: error: " in done.out
    assert "did you mean 'greet'?" in done.out
    assert "    4 |   greet:\n      |   ^\n" in done.out
    assert "write 'type' instead of 'tpye'" in done.out
    assert done.out.splitlines()[-1].startswith("b.yaml: ")


def test_the_document_of_problems(agentmech: Agentmech, tmp_path: Path, greeter: Path) -> None:
    (tmp_path / "b.yaml").write_text(BROKEN)
    done = agentmech("validate", "greeter.yaml", "b.yaml", "--json")
    assert done.code == 2
    assert done.document["valid"] is False
    for problem in done.document["problems"]:
        assert {"severity", "path", "message", "hint", "line", "column"} <= set(problem)
        assert problem["file"] == "b.yaml"
        assert problem["line"] > 0
    valid = agentmech("validate", "greeter.yaml", "--json")
    assert (valid.code, valid.document) == (0, {"valid": True, "problems": []})


def test_a_test_file_is_known_by_what_it_holds(agentmech: Agentmech, tmp_path: Path) -> None:
    (tmp_path / "greeter.yaml").write_text(GREETER)
    (tmp_path / "odd name").write_text(
        "workflow: greeter.yaml\n"
        "test_scenarios:\n"
        "  - name: x\n"
        "    assertions: [{type: equal, target: greeting, value: a}]\n"
    )
    done = agentmech("validate", "odd name")
    assert done.code == 2
    assert "did you mean 'equals'?" in done.out


def test_strict_makes_unknown_keys_errors_in_both_kinds_of_file(
    agentmech: Agentmech, greeter: Path
) -> None:
    greeter.write_text("colour: red\n" + GREETER)
    tests = greeter.with_name("greeter.test.yaml")
    tests.write_text(tests.read_text() + "colour: red\n")
    lenient = agentmech("validate", "greeter.yaml", "greeter.test.yaml")
    assert lenient.code == 0
    assert lenient.out.count("warning: unknown key 'colour'") == 2
    assert "greeter.yaml: valid, 1 warning\n" in lenient.out
    strict = agentmech("validate", "--strict", "greeter.yaml", "greeter.test.yaml")
    assert strict.code == 2
    assert "greeter.test.yaml: 1 error" in strict.out


def test_standard_input_is_a_file_too(agentmech: Agentmech, greeter: Path) -> None:
    assert agentmech("validate", "-", stdin=GREETER).out == "<stdin>: valid\n"
    tests = greeter.with_name("greeter.test.yaml").read_text()
    assert agentmech("validate", "-", stdin=tests).out == "<stdin>: valid\n"
    broken = agentmech("validate", "-", stdin=BROKEN)
    assert broken.code == 2
    assert "<stdin>:2:14: error: " in broken.out
    assert "    4 |   greet:\n      |   ^\n" in broken.out


@settings(max_examples=60)
@given(content=st.binary(max_size=120) | st.text(max_size=120).map(str.encode))
def test_no_bytes_in_a_file_put_a_control_byte_on_a_stream_or_end_in_a_bug(
    content: bytes, agentmech: Agentmech, tmp_path: Path
) -> None:
    (tmp_path / "any.yaml").write_bytes(content)
    for arguments in (("any.yaml",), ("--json", "any.yaml")):
        done = agentmech("validate", *arguments)
        assert done.code in (0, 2)
        for text in (done.out, done.err):
            assert not any(ord(c) < 32 and c not in "\n\t" for c in text)
            assert not any(127 <= ord(c) < 160 for c in text)


NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=60)


@settings(max_examples=60)
@given(name=NAMES, command=st.sampled_from(["validate", "graph", "run", "finetune", "test"]))
def test_no_name_of_a_file_hurts(name: str, command: str, agentmech: Agentmech) -> None:
    done = agentmech(command, "--", f"missing-{name}")
    assert done.code == 2
    assert "Traceback" not in done.err
    for text in (done.out, done.err):
        assert not any(ord(c) < 32 and c not in "\n\t" for c in text)
        assert not any(127 <= ord(c) < 160 for c in text)


def test_the_graph_of_a_workflow(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("graph", "greeter.yaml")
    assert done.code == 0
    assert done.out.startswith("flowchart TD\n")
    assert "greet" in done.out
    document = agentmech("graph", "greeter.yaml", "--json").document
    assert document == {"workflow": "Greeter", "mermaid": done.out}
    assert agentmech("graph", "-", stdin=GREETER).out == done.out


def test_the_graph_of_the_loop_is_its_table(agentmech: Agentmech) -> None:
    from finetune_fsm.loop.table import mermaid

    assert agentmech("graph", "--loop").out == mermaid()


def test_a_graph_needs_a_subject(agentmech: Agentmech) -> None:
    done = agentmech("graph")
    assert done.code == 2
    assert "either a workflow file or --loop" in done.err
