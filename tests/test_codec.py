from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.codec import canonical, digest, plain, restore


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Leaf:
    number: int
    ratio: float
    name: str | None
    colour: Colour
    data: bytes
    way: Literal["a", "b"] = "a"


@dataclass(frozen=True, slots=True)
class Tree:
    leaves: tuple[Leaf, ...]
    pair: tuple[int, str]
    named: Mapping[str, Leaf]
    where: Path
    child: Tree | None = None


LEAVES = st.builds(
    Leaf,
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.text(),
    st.sampled_from(Colour),
    st.binary(max_size=20),
    st.sampled_from(["a", "b"]),
)
TREES = st.recursive(
    st.builds(
        Tree,
        st.lists(LEAVES, max_size=2).map(tuple),
        st.tuples(st.integers(), st.text()),
        st.dictionaries(st.text(), LEAVES, max_size=2),
        st.sampled_from([Path("a"), Path("/b/c")]),
    ),
    lambda inner: st.builds(
        Tree,
        st.just(()),
        st.tuples(st.integers(), st.text()),
        st.just({}),
        st.just(Path("x")),
        inner,
    ),
    max_leaves=3,
)


@given(TREES)
def test_a_value_comes_back_from_its_json(tree: Tree) -> None:
    assert restore(Tree, json.loads(json.dumps(plain(tree)))) == tree


@given(TREES, TREES)
def test_equal_values_and_only_they_have_equal_digests(one: Tree, other: Tree) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_keys_does_not_matter(data: dict[str, int]) -> None:
    assert canonical(data) == canonical(dict(reversed(data.items())))


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"number": "1"},
        {"number": True, "ratio": 1.0, "name": None, "colour": "red", "data": ""},
        {"number": 1, "ratio": 1.0, "name": None, "colour": "green", "data": ""},
        {"number": 1, "ratio": 1.0, "name": None, "colour": "red", "data": "", "way": "c"},
    ],
)
def test_data_of_another_shape_is_refused(data: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        restore(Leaf, data)


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no plain form"):
        plain(object())
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))
