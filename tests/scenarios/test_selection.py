"""Choosing scenarios by their names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import UsageError
from finetune_fsm.scenarios.selection import named_like

WORDS = ["greets", "by name", "Bob", "not", "or"]

trees = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=5,
)


def said(tree: object) -> str:
    if isinstance(tree, str):
        return f'"{tree}"' if tree in ("not", "or") else tree
    operator, *parts = tree
    if operator == "not":
        return f"not ({said(parts[0])})"
    return f"({said(parts[0])}) {operator} ({said(parts[1])})"


def meant(tree: object, name: str) -> bool:
    if isinstance(tree, str):
        return tree.lower() in name.lower()
    operator, *parts = tree
    found = [meant(part, name) for part in parts]
    if operator == "not":
        return not found[0]
    return all(found) if operator == "and" else any(found)


@given(trees, st.lists(st.sampled_from(["Greets", "by name", "bob", "not", "or"])).map(" ".join))
@settings(max_examples=100)
def test_an_expression_means_what_its_parts_mean(tree: object, name: str) -> None:
    assert named_like(said(tree))(name) == meant(tree, name)


@pytest.mark.parametrize(
    ("expression", "name", "fits"),
    [
        ("greets by", "Greets  by name", True),
        ("greets and not bob", "Greets Alice", True),
        ("a or b and c", "a", True),
        ("a and b or c", "c", True),
        ("not a or b", "a b", True),
        ("not a and b", "a b", False),
        ("not not a", "a", True),
        ("(a or b) and c", "a", False),
        ("yes/no", "Says yes/no", True),
        ("__import__", "x", False),
        ("'and or'", "this and or that", True),
        ("NOT a", "b", True),
    ],
)
def test_expressions_read_as_in_pytest(expression: str, name: str, fits: bool) -> None:
    assert named_like(expression)(name) is fits


@pytest.mark.parametrize(
    "expression",
    ["", " ", "and", "a and", "or a", "(a", "a)", "()", "a (b)", "not", "a 'b'", "((a)"],
)
def test_what_is_no_expression_is_refused_with_a_way_out(expression: str) -> None:
    with pytest.raises(UsageError, match="in quotes"):
        named_like(expression)


@given(st.text("()andortx '\"", max_size=30))
@settings(max_examples=100)
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        fits = named_like(text)
    except UsageError:
        return
    assert fits("and or x") in (True, False)


def test_an_expression_may_be_as_deep_as_it_likes() -> None:
    assert named_like("(" * 5000 + "not " * 5000 + "a" + ")" * 5000)("a") is True
