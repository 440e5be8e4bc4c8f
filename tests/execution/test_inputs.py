from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import ExecutionError
from finetune_fsm.execution.inputs import LineInputs, MappingInputs


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)), st.text(max_size=5))
def test_a_scenario_gives_the_same_answer_at_every_visit(
    answers: dict[str, str], name: str
) -> None:
    inputs = MappingInputs(answers)
    said = [inputs.answer(name, "?", "default") for _ in range(3)]
    assert said == [answers.get(name, "")] * 3


def test_states_that_a_mapping_does_not_know_are_asked_elsewhere() -> None:
    inputs = MappingInputs({"a": "1"}, otherwise=LineInputs(["2\n"]))
    assert [inputs.answer(name, "?", None) for name in "abb"] == ["1", "2", None]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n"), max_size=5), max_size=4))
def test_lines_answer_in_order_and_then_no_answer_comes(lines: list[str]) -> None:
    inputs = LineInputs(line + "\n" for line in lines)
    said = [inputs.answer("s", "?", None) for _ in range(len(lines) + 2)]
    assert said == [*lines, None, None]


def test_each_question_is_shown_before_its_answer_is_read() -> None:
    events: list[object] = []

    def lines() -> Iterator[str]:
        events.append("read")
        yield "x"

    LineInputs(lines(), lambda *shown: events.append(shown)).answer("s", "Name?", "Bob")
    assert events == [("s", "Name?", "Bob"), "read"]


def test_an_answer_that_cannot_be_read_is_an_error_of_the_state() -> None:
    broken = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), encoding="utf-8")
    with pytest.raises(ExecutionError, match="cannot be read"):
        LineInputs(broken).answer("s", "?", None)
    closed = io.StringIO("x")
    inputs = LineInputs(closed)
    closed.close()
    with pytest.raises(ExecutionError, match="closed"):
        inputs.answer("s", "?", None)
