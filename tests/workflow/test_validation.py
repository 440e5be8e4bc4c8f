"""Whatever a document is, its problems are data; and they are the right ones."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import documents, hostile_data, item_at, paths_in, plain_data

from finetune_fsm.errors import Severity, errors_in
from finetune_fsm.schema import WORKFLOW, problems_in, schema
from finetune_fsm.workflow.validate import problems_of


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema(WORKFLOW))
    assert schema(WORKFLOW)["$id"] == "urn:finetune-fsm:workflow:1"


@given(documents())
def test_a_valid_document_has_no_errors(document: dict[str, Any]) -> None:
    assert errors_in(problems_of(document, folder=Path(), strict=True)) == ()


@given(documents())
def test_the_schema_alone_agrees_with_other_validators(document: dict[str, Any]) -> None:
    assert Draft202012Validator(schema(WORKFLOW)).is_valid(document)


@settings(max_examples=70)
@given(hostile_data() | plain_data())
def test_no_data_whatever_raises(document: Any) -> None:
    assert all(p.message for p in problems_of(document, folder=Path()))


@settings(max_examples=70)
@given(st.data())
def test_no_damage_to_a_valid_document_raises_or_goes_unseen(data: st.DataObject) -> None:
    document = deepcopy(data.draw(documents()))
    path = data.draw(st.sampled_from([p for p in paths_in(document) if p]))
    owner = item_at(document, path[:-1])
    owner[path[-1]] = data.draw(hostile_data())
    found = problems_of(document, folder=Path(), strict=True)
    assert list(found) == sorted(found, key=lambda p: p.severity is Severity.WARNING)
    if problems_in_safely(document):
        assert errors_in(found)


def problems_in_safely(document: Any) -> bool:
    try:
        return bool(problems_in(document, WORKFLOW))
    except Exception:  # noqa: BLE001  # keys that are no text: jsonschema may do as it likes
        return True


def test_very_deep_data_and_circles_are_problems() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    circle: dict[str, Any] = {}
    circle["self"] = circle
    for value in (deep, circle):
        assert problems_of({"name": value})[0].code == "bad_value"


def _document(**states: Any) -> dict[str, Any]:
    return {"name": "x", "start_state": next(iter(states)), "states": states}


ASK = {"type": "input", "prompt": "Who?", "save_as": "who", "next": "greet"}
GREET = {"type": "prompt", "prompt": "Greet {{who}}."}


@pytest.mark.parametrize(
    ("change", "code", "path", "words"),
    [
        ({"ask": ASK | {"next": "gret"}}, "unknown_target", ("next",), "did you mean 'greet'?"),
        ({"ask": ASK | {"next": "END"}}, "unknown_target", ("next",), "did you mean 'end'?"),
        ({"ask": ASK | {"next_options": []}}, "schema_not", ("next_options",), "asks no model"),
        ({"ask": ASK | {"model": "m"}}, "unknown_key", ("model",), "a state of type input"),
        ({"ask": ASK | {"use_rag": "k"}}, "schema_not", ("use_rag",), "prompt state"),
        ({"ask": {"type": "transition"}}, "missing_key", (), "'next' is missing"),
        ({"ask": {"type": "workflow_ref"}}, "missing_key", (), "'workflow_ref' is missing"),
        ({"ask": {"type": "transition", "next": "greet", "steps": []}}, "schema_not", ("steps",),
         "cannot have 'steps'"),
        ({"ask": {"type": "prompt", "promt": "x"}}, "missing_key", (), "instead of 'promt'"),
        ({"ask": {"type": "prompt", "steps": [{"prompt": "a"}, {"prompt": "b"}], "save_as": "s"}},
         "exclusive_keys", ("save_as",), "into the step"),
        ({"ask": {"type": "prompt", "steps": [{"prompt": "a", "next": "end"}, {"prompt": "b"}]}},
         "schema_not", ("steps", 0, "next"), "beside 'steps'"),
        ({"ask": GREET | {"use_rag": "k"}}, "unknown_rag", ("use_rag",), "'k'"),
        ({"ask": GREET | {"use_rag": "k", "rag": {"directory": "d"}}}, "exclusive_keys", ("rag",),
         "exclude"),
    ],
)  # fmt: skip
def test_a_rule_is_told_where_it_is_broken(
    change: dict[str, Any], code: str, path: tuple[str | int, ...], words: str
) -> None:
    document = _document(**({"ask": ASK, "greet": GREET} | change))
    found = [p for p in problems_of(document) if p.code == code]
    assert [p.path for p in found] == [("states", "ask", *path)]
    assert words in f"{found[0].message} {found[0].hint}"


def test_steps_must_not_make_a_name_that_is_taken() -> None:
    steps = [{"prompt": "a"}, {"prompt": "b"}]
    document = _document(a={"type": "prompt", "steps": steps}, a_step_1=GREET)
    assert [p.code for p in errors_in(problems_of(document))] == ["name_collision"]
    document = _document(a={"type": "prompt", "steps": steps, "next": "a_step_1"})
    assert errors_in(problems_of(document)) == ()


def test_one_wrong_type_does_not_complain_about_the_fields_of_all_the_others() -> None:
    found = problems_of(_document(a={"type": "promt", "prompt": "x"}))
    assert [(p.code, p.path) for p in found] == [("unknown_type", ("states", "a", "type"))]


def test_foreign_text_cannot_steer_the_screen() -> None:
    evil = "\x1b]52;c;x\x07\u202e"
    document = _document(a={"type": evil, evil: evil, "next": evil}) | {evil: evil}
    shown = "".join(f"{p.message}{p.hint}" for p in problems_of(document))
    assert not set(shown) & set("\x1b\x07\u202e")


def test_variables_and_saves_that_nobody_uses_are_doubts() -> None:
    document = _document(
        a={"type": "prompt", "prompt": "{{used}}{{typo}}", "save_as": "lost", "next": "b"},
        b={"type": "prompt", "prompt": "hi", "save_as": "result"},
    ) | {"variables": {"used": "x", "unused": "y", "type": "z"}}
    found = {(p.code, p.path) for p in problems_of(document)}
    assert found == {
        ("unset_placeholder", ("states", "a", "prompt")),
        ("unused_save", ("states", "a", "save_as")),
        ("unused_variable", ("variables", "unused")),
        ("unused_variable", ("variables", "type")),
    }


def test_a_child_workflow_may_set_and_use_variables(tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text(
        "name: c\nstart_state: a\nstates:\n"
        "  a: {type: prompt, prompt: '{{topic}}', save_as: reply}\n"
    )
    document = _document(
        a={"type": "workflow_ref", "workflow_ref": "child.yaml", "next": "b"},
        b={"type": "prompt", "prompt": "{{reply}}"},
    ) | {"variables": {"topic": "x"}}
    assert problems_of(document, folder=tmp_path) == ()


def test_a_broken_child_is_one_problem_of_its_reference(tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text("name: c\nstart_state: a\nstates: {}\nx: [\n")
    document = _document(a={"type": "workflow_ref", "workflow_ref": "child.yaml"})
    found = problems_of(document, folder=tmp_path)
    assert [(p.code, p.path) for p in found] == [("bad_ref", ("states", "a", "workflow_ref"))]
    (tmp_path / "child.yaml").write_text("name: c\nstart_state: a\nstates: {}\n")
    assert "/states" in problems_of(document, folder=tmp_path)[0].message


def test_a_diamond_of_children_is_no_circle(tmp_path: Path) -> None:
    leaf = "name: c\nstart_state: a\nstates:\n  a: {type: transition, next: end}\n"
    (tmp_path / "leaf.yaml").write_text(leaf)
    side = "name: c\nstart_state: a\nstates:\n  a: {type: workflow_ref, workflow_ref: leaf.yaml}\n"
    (tmp_path / "left.yaml").write_text(side)
    (tmp_path / "right.yaml").write_text(side)
    document = _document(
        a={"type": "workflow_ref", "workflow_ref": "left.yaml", "next": "b"},
        b={"type": "workflow_ref", "workflow_ref": "right.yaml"},
    )
    assert problems_of(document, folder=tmp_path) == ()


def test_what_a_run_will_look_for_is_missed_early(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("x")
    document = _document(
        a=GREET | {"files": ["there.txt", "gone.txt", "{{who}}.txt"], "use_rag": "k"}
    ) | {"rag": {"k": {"directory": "no-docs"}}, "variables": {"who": "x"}}
    found = [p.path for p in problems_of(document, folder=tmp_path) if p.code == "missing_file"]
    assert found == [("states", "a", "files", 1), ("rag", "k", "directory")]


RICH = {
    "name": "x", "description": "d", "default_model": "m", "start_state": "a", "on_error": "b",
    "variables": {"v": "t", "w": {"value": 1}, "f": {"file": "gone"}},
    "mcp_servers": {"c": {"command": "x", "args": ["y"], "env": {"k": "v"}},
                    "n": {"type": "npx", "package": "p"},
                    "t": {"type": "custom-tools", "tools_directory": "d"}},
    "rag": {"k": {"directory": "d", "top_k": 1}},
    "states": {
        "a": {"type": "prompt", "prompt": "p", "save_as": "s", "use_rag": "k", "files": ["f"],
              "mcp_servers": ["c"], "options": {"num_predict": -1}, "on_error": "a",
              "next_options": [{"state": "b", "description": "d"},
                               {"state": "c", "description": "d"}]},
        "b": {"type": "input", "steps": [{"prompt_file": "gone"}, {"prompt": "q"}], "next": "c"},
        "c": {"type": "workflow_ref", "workflow_ref": "gone.yaml", "next": "d"},
        "d": {"type": "transition", "next": "end"},
        "e": {"type": "prompt", "prompt": "p", "rag": {"directory": "d"}},
    },
}  # fmt: skip


@pytest.mark.parametrize("value", [None, True, 5, -0.5, "x", "", [], [None], {}, {"x": 1}])
def test_anything_anywhere_is_a_problem_and_never_an_exception(value: Any) -> None:
    for path in paths_in(RICH)[1:]:
        document = deepcopy(RICH)
        item_at(document, path[:-1])[path[-1]] = value
        assert errors_in(problems_of(document, folder=Path("/nowhere")))
