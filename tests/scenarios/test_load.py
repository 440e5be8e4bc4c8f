"""Test files: whatever is in them, all that is wrong is said, with its place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from corpus.scenario_files import ACCEPTED, ANY, ERRORS, VALID, WARNINGS, body, one
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
    path = written(folder, one("{type: equal, target: x, value: 5}", more="pass_score: x, "))
    problems = check_suite(path).problems
    assert [problem.code for problem in problems if problem.file == str(path)] == [
        "bad_workflow",
        "schema_type",
        "unknown_type",
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
