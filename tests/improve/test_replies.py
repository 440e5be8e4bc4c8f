from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.errors import Problem
from finetune_fsm.improve.replies import read_object, text_field

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)


@given(st.text())
@example('{"a": ' * 3000)
@example("```json\n")
@example('{"a": NaN}')
def test_any_text_reads_as_an_object_or_a_problem(text: str) -> None:
    assert isinstance(read_object(text), dict | Problem)


@given(OBJECTS, st.integers(0, 4))
def test_an_object_is_found_whatever_stands_around_it(data: dict[str, object], way: int) -> None:
    text = json.dumps(data, ensure_ascii=False)
    wrapped = [
        text,
        f"Here it is:\n{text}",
        f"```json\n{text}\n```",
        f"~~~\n{text}\n~~~\nI hope this helps!",
        f"{text}\n\nLet me know.",
    ][way]
    assert read_object(wrapped) == data


@given(OBJECTS.filter(bool), st.data())
def test_an_object_cut_anywhere_is_a_problem(data: dict[str, object], draw: st.DataObject) -> None:
    text = json.dumps(data)
    cut = draw.draw(st.integers(0, len(text) - 1))
    assert isinstance(read_object(text[:cut]), Problem)


@pytest.mark.parametrize(
    "reply",
    ["", "   ", "I cannot do that.", "[]", "null", '"x"', "{'a': 1}", '{"a": 1', "<think>{"],
)
def test_what_is_no_object_is_a_problem_that_says_so(reply: str) -> None:
    problem = read_object(reply)
    assert isinstance(problem, Problem)
    assert "no JSON object" in problem.message


def test_a_trailing_comma_is_forgiven_and_a_camel_case_key_is_taken() -> None:
    data = read_object('{"problem": "x", "newPrompt": " Do it. ", }')
    assert isinstance(data, dict)
    assert text_field(data, "new_prompt", limit=100) == "Do it."


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "bad_reply"),
        (7, "bad_reply"),
        ("  ", "bad_reply"),
        ("x" * 101, "too_long"),
        ("a\x1b[2Jb", "control_characters"),
        ("a\u202eb", "control_characters"),
        ("a\ud800b", "control_characters"),
        ("a\x00b", "control_characters"),
    ],
)
def test_a_text_that_could_do_harm_is_a_problem(value: object, code: str) -> None:
    problem = text_field({"x": value}, "x", limit=100)
    assert isinstance(problem, Problem)
    assert problem.code == code
