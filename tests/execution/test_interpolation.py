from __future__ import annotations

import pytest
from execution.small_workflows import texts
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import ExecutionError
from finetune_fsm.execution.interpolation import Filled, fill
from finetune_fsm.workflow.model import PLACEHOLDER

values = st.dictionaries(st.sampled_from(["a", "b", "error"]), texts(), max_size=3)


@given(texts(), values)
def test_a_text_without_placeholders_comes_back_as_it_is(
    text: str, variables: dict[str, str]
) -> None:
    plain = PLACEHOLDER.sub("", text)
    plain = plain if not PLACEHOLDER.search(plain) else ""
    assert fill(plain, variables) == Filled(plain)


@given(texts(), values)
def test_what_was_put_in_is_never_read_again(text: str, variables: dict[str, str]) -> None:
    """The simpler model: cut at the placeholders of the template alone, then look each up."""
    parts = PLACEHOLDER.split(text)  # text, name, text, name, …, text
    expected = "".join(
        part if i % 2 == 0 else variables.get(part, f"{{{{{part}}}}}")
        for i, part in enumerate(parts)
    )
    assert fill(text, variables).text == expected


@given(texts(), values)
def test_each_name_is_either_used_or_missing(text: str, variables: dict[str, str]) -> None:
    filled = fill(text, variables)
    assert (*filled.used, *filled.missing) == tuple(dict.fromkeys((*filled.used, *filled.missing)))
    assert {*filled.used, *filled.missing} == set(PLACEHOLDER.findall(text))
    assert set(filled.used) <= set(variables)
    assert not set(filled.missing) & set(variables)


def test_a_known_variable_that_is_empty_becomes_empty() -> None:
    assert fill("<{{a}}>", {"a": ""}) == Filled("<>", used=("a",))


def test_an_unknown_name_stays_as_written_and_is_told() -> None:
    assert fill("Hi {{b}}", {"a": "x"}) == Filled("Hi {{b}}", missing=("b",))


def test_spaces_dots_and_filters_are_plain_text() -> None:
    text = "{{ a }} {{a.b}} {{a|upper}} {a} {{}} {{ä}}"
    assert fill(text, {"a": "x"}) == Filled(text)


def test_a_value_that_looks_like_a_placeholder_stays_that_text() -> None:
    assert fill("{{a}}{{b}}", {"a": "{{b}}", "b": "{{a}}"}).text == "{{b}}{{a}}"


def test_a_text_that_doubles_at_every_round_is_stopped_before_it_is_built() -> None:
    with pytest.raises(ExecutionError, match="more than 100"):
        fill("{{a}}" * 1000, {"a": "x" * 50}, limit=100)
    assert fill("{{a}}{{a}}", {"a": "x" * 50}, limit=100).text == "x" * 100
