"""Test files: whatever is in them, all that is wrong is said, with its place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import plain_data
from suites import WORKFLOW, greeter, suites

from finetune_fsm.errors import InvalidDocument, Severity
from finetune_fsm.scenarios.checks import check
from finetune_fsm.scenarios.load import (
    check_suite,
    check_suite_text,
    dump_suite,
    find_suite,
    load_suite,
)
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.text import dump, parse

VALID = """\
workflow: greeter.yaml
test_scenarios:
  - name: Greets by name
    description: It must.
    inputs:
      - {state: ask, value: Alice}
    assertions:
      - {type: contains, target: greeting, value: Alice, case_sensitive: false}
      - {type: state_reached, value: end}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "greeter.yaml").write_text(WORKFLOW)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "greeter.test.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def test_a_test_file_says_what_is_to_be_checked(folder: Path) -> None:
    found = load_suite(written(folder, VALID))
    scenario = Scenario(
        "Greets by name",
        (
            Assertion(AssertionType.CONTAINS, "Alice", "greeting", case_sensitive=False),
            Assertion(AssertionType.STATE_REACHED, "end"),
        ),
        {"ask": "Alice"},
        "It must.",
    )
    assert found == Suite("greeter.yaml", (scenario,))


@given(suites())
@settings(max_examples=50)
def test_what_is_written_reads_back_equal(suite: Suite) -> None:
    checked = check_suite_text(dump_suite(suite), Path("x.test.yaml"), workflow=greeter())
    assert checked.suite == suite


@given(st.text() | plain_data().map(dump) | st.binary().map(lambda b: b.decode("latin-1")))
@settings(max_examples=150)
def test_any_text_is_a_suite_or_has_problems_with_places(text: str) -> None:
    checked = check_suite_text(text, Path("x.test.yaml"), workflow=greeter())
    assert checked.suite is None
    assert all(problem.file == "x.test.yaml" and problem.message for problem in checked.problems)
    assert any(problem.severity is Severity.ERROR for problem in checked.problems)


@given(st.data())
@settings(max_examples=70)
def test_a_valid_document_with_one_part_replaced_is_a_suite_or_has_problems(
    data: st.DataObject,
) -> None:
    document = parse(VALID).document
    at: object = document
    for _ in range(data.draw(st.integers(0, 4))):
        keys = list(at) if isinstance(at, Mapping) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys)) if keys else None
        if key is None or not isinstance(at[key], dict | list):
            break
        at = at[key]
    key = data.draw(st.sampled_from(list(at) if isinstance(at, Mapping) else [0]))
    at[key] = data.draw(plain_data())
    checked = check_suite_text(dump(document), Path("x.test.yaml"), workflow=greeter())
    errors = [problem for problem in checked.problems if problem.severity is Severity.ERROR]
    assert (checked.suite is None) == bool(errors)
    assert all(problem.line for problem in checked.problems)


@given(plain_data())
@settings(max_examples=100)
@example(5)
@example([{"state": 1, "type": "regex", "value": None, "target": []}])
def test_the_later_checks_take_any_document(document: object) -> None:
    scenario = {"name": document, "inputs": document, "assertions": document}
    for value in (document, [document], [scenario]):
        assert isinstance(check({"test_scenarios": value}, None), tuple)
    assert isinstance(check(document, None), tuple)


def body(scenario: str, *, workflow: str = "greeter.yaml") -> str:
    return f"workflow: {workflow}\ntest_scenarios:\n  - {scenario}\n"


def one(assertion: str, *, more: str = "") -> str:
    return body(f"{{name: A, {more}assertions: [{assertion}]}}")


def both(first: str, second: str) -> str:
    return one(f"{{target: short, {first}}}, {{target: short, {second}}}")


ANY = "{type: contains, target: greeting, value: x}"
LONG = "a" * 10_000

# Number in the corpus of bad inputs, the text, words of the problem.
ERRORS = [
    ("T1", "test_scenarios: [{name: A, assertions: [" + ANY + "]}]", "'workflow' is missing"),
    ("T1", "workflow: ''\ntest_scenarios: []", "must not be empty"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow="gone.yaml"), "does not exist"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow="greeter.test.yaml"), "names itself"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow="/no/where.yaml"), "does not exist"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow="."), "is a folder"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow='"a\\0b"'), "cannot be used"),
    ("T3", "workflow: greeter.yaml", "'test_scenarios' is missing"),
    ("T3", "workflow: greeter.yaml\ntest_scenarios: {}", "must be a list, not a mapping"),
    ("T3", "workflow: greeter.yaml\ntest_scenarios: []", "needs at least 1"),
    ("T4", body(f"{{assertions: [{ANY}]}}"), "'name' is missing"),
    ("T4", body(f"{{name: ' ', assertions: [{ANY}]}}"), "must not be empty"),
    (
        "T4",
        body(f"{{name: A, assertions: [{ANY}]}}\n  - {{name: 'A ', assertions: [{ANY}]}}"),
        "two scenarios are called 'A'",
    ),
    ("T4", body(f'{{name: "a\\nb", assertions: [{ANY}]}}'), "one line"),
    ("T4", body(f'{{name: "a\\e[2Jb", assertions: [{ANY}]}}'), "visible characters"),
    ("T5", body("{name: A}"), "'assertions' is missing"),
    ("T5", body("{name: A, assertions: []}"), "needs at least 1"),
    ("T5", body("{name: A, assertions: {}}"), "must be a list"),
    ("T6", one("{type: equal, target: greeting, value: x}"), "did you mean 'equals'?"),
    ("T7", one("{type: contains, value: x}"), "'target' is missing"),
    ("T9", one("{type: contains, target: greeting, value: 5}"), 'put it in quotes: "5"'),
    ("T9", one("{type: contains, target: greeting, value: true}"), "must be text"),
    ("T9", one("{type: contains, target: greeting, value: }"), "must be text"),
    ("T9", one("{type: contains, target: greeting, value: [a]}"), "must be text"),
    ("T9", one("{type: contains, target: greeting}"), "'value' is missing"),
    ("T10", one("{type: regex, target: greeting, value: '('}"), "never closed"),
    ("T10", one("{type: not_contains, regex: true, target: greeting, value: '('}"), "never closed"),
    ("T12", one(f"{{type: regex, target: greeting, value: '{LONG}'}}"), "10000 characters"),
    (
        "T14",
        one("{type: contains, target: greeting, value: x, case_sensitive: 'no'}"),
        "must be true or false, not text",
    ),
    ("T14", one("{type: contains, target: greeting, value: x, case_sensitive: no}"), "not text"),
    ("T15", one("{type: state_reached, value: gret}"), "did you mean 'greet'?"),
    ("T16", one(ANY, more="inputs: [{state: greet, value: x}], "), "asks for no input"),
    ("T16", one(ANY, more="inputs: [{state: aks, value: x}], "), "did you mean 'ask'?"),
    (
        "T16",
        one(ANY, more="inputs: [{state: ask, value: x}, {state: ask, value: y}], "),
        "gets its input twice",
    ),
    ("T16", one(ANY, more="inputs: [{state: ask, value: [x]}], "), "must be text, not a list"),
    ("T16", one(ANY, more="inputs: [{state: ask}], "), "'value' is missing"),
    *[("T18", one(ANY, more=f"repeat: {n}, "), "not supported") for n in ("0", "-1", "1e9", "'3'")],
    *[("T19", one(ANY, more=f"pass_rate: {n}, "), "not supported") for n in ("1.5", "80", "-0.1")],
    ("T20", one("{type: llm_rubric, target: greeting}"), "one of: equals"),
    ("T21", one("{type: is_json, target: greeting, value: '{}'}"), "one of: equals"),
    ("T23 W1", "", "must be a mapping"),
    ("T23 W2", "# comment", "must be a mapping"),
    ("T23 W3", "hello", "must be a mapping, not text"),
    ("T23 W4", "- a", "must be a mapping, not a list"),
    ("T23 W5", "null", "must be a mapping"),
    ("T23 W6", "a: 1\n---\nb: 2", "second document"),
    ("T23 W7", "workflow: x\n\ttest: y", "tab"),
    ("T23 W8", "workflow: 'x", ""),
    ("T23 W9", "```yaml\nworkflow: x\n```", ""),
    ("T23 W11", "\udcff\udcfea\0", "UTF-16"),
    ("T23 W12", "name: caf\udce9", "not UTF-8"),
    ("T23 W13", "name: a\0b", "NUL"),
    ("T23 W14", "name: a\x1bb", "U+001B"),
    (
        "T23 W18",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n"
            for p, c in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "more than",
    ),
    ("T23 W20", "a: &a [*a]", "part of"),
    ("T23 W21", "[" * 100_000, "inside each other"),
    ("T23 W24", "workflow: x\nworkflow: y", "twice"),
    ("T23 W27", "!!python/object/apply:os.system ['true']", "tag"),
    ("T23 W30", "workflow: {{name}}", "plain text"),
    ("T23 W34", "x" * 2_000_000, "larger than"),
]


@pytest.mark.parametrize(("number", "text", "words"), ERRORS)
def test_a_bad_test_file_is_refused_quickly_with_file_and_line(
    number: str, text: str, words: str, folder: Path
) -> None:
    path = written(folder, text)
    started = time.monotonic()
    with pytest.raises(InvalidDocument) as caught:
        load_suite(path)
    assert time.monotonic() - started < 1
    told = str(caught.value)
    assert words in told
    assert all(problem.file for problem in caught.value.problems)
    assert any(problem.severity is Severity.ERROR for problem in caught.value.problems)
    if "is a folder" not in told and "W1" not in number and "W34" not in number:
        assert f"{path}:" in told


# What works, but hardly as meant; an existing file may hold it.
WARNINGS = [
    ("T8", one("{type: contains, target: greting, value: x}"), "did you mean 'greeting'?"),
    ("T22", both("type: equals, value: abc", "type: not_contains, value: b"), "contradicts"),
    ("T22", both("type: equals, value: a", "type: equals, value: b"), "contradicts"),
    (
        "T22",
        both("type: not_contains, value: A, case_sensitive: false", "type: contains, value: xa"),
        "contradicts",
    ),
    ("", one("{type: regex, target: short, value: /a/i}"), "slashes are part"),
    ("", one("{type: contains, target: short, value: ' '}"), "always holds"),
    ("", one("{type: equals, target: short, value: a, case_sensitive: false}"), "changes nothing"),
    ("", one("{type: state_reached, target: short, value: end}"), "changes nothing"),
    ("", one(ANY, more="llm_input_generation: {enabled: true}, "), "unknown key"),
    (
        "",
        one("{type: contains, target: short, value: a, casesensitive: no}"),
        "did you mean 'case_sensitive'?",
    ),
]


@pytest.mark.parametrize(("number", "text", "words"), WARNINGS)
def test_what_is_hardly_meant_is_a_warning_with_its_line(
    number: str, text: str, words: str, folder: Path
) -> None:
    checked = check_suite(written(folder, text))
    assert checked.suite is not None
    [problem] = checked.problems
    assert problem.severity is Severity.WARNING
    assert words in str(problem)
    assert problem.line


# What is right, though it may look odd.
ACCEPTED = [
    ("T4", body(f"{{name: Says yes/no, assertions: [{ANY}]}}")),
    ("T11", one("{type: regex, target: greeting, value: '(a+)+$'}")),
    ("T13", one("{type: regex, target: greeting, value: '(?<n>x)'}")),
    ("T22", both("type: contains, value: a", "type: not_contains, value: A")),
    (
        "T22",
        both("type: contains, value: a, case_sensitive: false", "type: not_contains, value: a"),
    ),
    ("T23 W16", "\ufeff" + VALID),
    ("T23 W17", VALID.replace("\n", "\r\n")),
    ("", one("{type: state_reached, value: greet_step_1}")),
    ("", one("{type: equals, target: error, value: ''}")),
    ("", one(ANY, more="inputs: , description: , generated: true, ")),
    ("", one("{type: contains, target: greeting, value: no}")),
]


@pytest.mark.parametrize(("number", "text"), ACCEPTED)
def test_what_is_right_has_no_problem(number: str, text: str, folder: Path) -> None:
    checked = check_suite(written(folder, text))
    assert checked.problems == ()
    assert checked.suite is not None


def test_an_input_that_every_run_asks_for_is_missed(folder: Path) -> None:
    (folder / "greeter.yaml").write_text(WORKFLOW.replace(", default_value: Bob", ""))
    [problem] = check_suite(written(folder, one(ANY))).problems
    assert problem.severity is Severity.WARNING
    assert "no input for 'ask'" in problem.message
    assert "'more'" not in problem.message  # a model may never go there
    assert check_suite(written(folder, VALID)).problems == ()


def test_an_absolute_path_works_and_is_warned_of(folder: Path) -> None:
    text = VALID.replace("greeter.yaml", str(folder / "greeter.yaml"))
    checked = check_suite(written(folder, text))
    assert checked.suite is not None
    assert [problem.code for problem in checked.problems] == ["absolute_path"]


def test_all_problems_come_at_once_in_file_order_with_those_of_the_workflow(folder: Path) -> None:
    (folder / "greeter.yaml").write_text("name: x")
    path = written(folder, one("{type: equal, target: x, value: 5}", more="repeat: 1, "))
    problems = check_suite(path).problems
    assert [problem.code for problem in problems if problem.file == str(path)] == [
        "bad_workflow",
        "schema_not",
        "schema_enum",
        "schema_type",
    ]
    assert {problem.file for problem in problems} == {str(path), str(folder / "greeter.yaml")}
    own = [problem.line for problem in problems if problem.file == str(path)]
    assert own == sorted(own)


def test_when_strict_an_unknown_key_is_an_error(folder: Path) -> None:
    path = written(folder, one(ANY, more="tags: [x], "))
    assert check_suite(path).suite
    assert check_suite(path, strict=True).suite is None


def test_a_workflow_that_is_given_goes_before_the_one_in_the_file(folder: Path) -> None:
    other = replace(greeter(), variables={"another": "x"})
    text = one("{type: equals, target: another, value: x}")
    path = written(folder, text.replace("greeter.yaml", "gone.yaml"))
    assert check_suite(path, workflow=other).problems == ()
    assert check_suite(path).suite is None


def test_states_and_variables_of_a_child_workflow_are_known(folder: Path) -> None:
    (folder / "outer.yaml").write_text(
        "name: O\nstart_state: sub\nstates:\n"
        "  sub: {type: workflow_ref, workflow_ref: greeter.yaml, next: end}\n"
    )
    right = (
        "{name: A, inputs: [{state: sub_ref_more, value: x}], assertions: "
        "[{type: contains, target: greeting, value: x}, "
        "{type: state_reached, value: sub_ref_greet_step_1}]}"
    )
    wrong = right.replace("_more", "_mor").replace("target: greeting", "target: greting")
    wrong = wrong.replace("step_1", "step_2")
    assert check_suite(written(folder, body(right, workflow="outer.yaml"))).problems == ()
    codes = [
        p.code for p in check_suite(written(folder, body(wrong, workflow="outer.yaml"))).problems
    ]
    assert codes == ["unknown_state", "unset_variable", "unknown_state"]


@pytest.mark.parametrize(
    ("workflow", "there", "found"),
    [
        ("x.yaml", ["x.test.yaml", "x.finetune-tests.yaml"], "x.test.yaml"),
        ("x.yaml", ["x.test.yml", "x.finetune-tests.yaml"], "x.test.yml"),
        ("x.yml", ["x.finetune-tests.yaml"], "x.finetune-tests.yaml"),
        ("x.finetuned.yaml", ["x.test.yaml"], "x.test.yaml"),
        ("x.finetuned.yml", ["x.finetune-tests.yaml"], "x.finetune-tests.yaml"),
        ("x.finetuned.yaml", ["x.test.yaml", "x.finetuned.test.yaml"], "x.finetuned.test.yaml"),
        ("x.finetune-iter12.yaml", ["x.test.yaml"], "x.test.yaml"),
        ("x.finetune-iter.yaml", ["x.test.yaml"], None),
        ("x.yaml", ["y.test.yaml", "x.test.yaml.bak"], None),
        ("x.y.yaml", ["x.test.yaml"], None),
        ("x.y.yaml", ["x.y.test.yaml"], "x.y.test.yaml"),
    ],
)
def test_the_test_file_of_a_workflow_is_found(
    workflow: str, there: list[str], found: str | None, tmp_path: Path
) -> None:
    for name in there:
        (tmp_path / name).touch()
    assert find_suite(tmp_path / workflow) == (tmp_path / found if found else None)


def test_a_folder_is_no_test_file(tmp_path: Path) -> None:
    (tmp_path / "x.test.yaml").mkdir()
    assert find_suite(tmp_path / "x.yaml") is None
    with contextlib.suppress(InvalidDocument):
        pytest.fail(str(load_suite(tmp_path / "x.test.yaml")))


def test_generated_scenarios_are_marked_in_the_file() -> None:
    scenario = Scenario("A", (Assertion(AssertionType.STATE_REACHED, "end"),), generated=True)
    plain = replace(scenario, name="B", generated=False)
    text = dump_suite(Suite("x.yaml", (scenario, plain)))
    assert text.count("generated: true") == 1
    assert "target" not in text
