"""The nearest vectors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.knowledge.search import Matrix, cosine

NUMBERS = st.floats(-10, 10, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)
VECTORS = st.lists(NUMBERS, min_size=3, max_size=3)


def simple(one: list[float], other: list[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


@given(st.lists(VECTORS, max_size=12), VECTORS, st.integers(1, 14))
def test_the_nearest_are_those_of_the_simple_formula(
    vectors: list[list[float]], asked: list[float], count: int
) -> None:
    found = Matrix(vectors).nearest(asked, count)
    assert len(found) == min(count, len(vectors))
    for place, score in found:
        assert score == pytest.approx(simple(vectors[place], asked), abs=2e-6)
        assert -1 <= score <= 1
    assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))
    left = {*range(len(vectors))} - {place for place, _ in found}
    worst = min((score for _, score in found), default=0)
    assert all(simple(vectors[place], asked) <= worst + 2e-6 for place in left)


@given(st.lists(NUMBERS, min_size=64, max_size=64), st.integers(2, 40), st.integers(0, 30))
def test_equal_vectors_tie_and_come_in_order(row: list[float], count: int, before: int) -> None:
    others = [[1.0, *([0.0] * 63)]] * before
    asked = [0.5] * 64
    places = [p for p, _ in Matrix([*others, *[row] * count]).nearest(asked, 99) if p >= before]
    assert places == sorted(places)


@given(VECTORS, VECTORS, st.floats(0.01, 100))
def test_a_cosine_knows_no_length_and_no_order(
    one: list[float], other: list[float], factor: float
) -> None:
    assert cosine(one, other) == pytest.approx(cosine(other, one), abs=2e-6)
    scaled = [factor * value for value in one]
    assert cosine(scaled, other) == pytest.approx(cosine(one, other), abs=2e-6)


def test_vectors_of_different_lengths_do_not_compare() -> None:
    with pytest.raises(ValueError, match="2 numbers do not compare with 3"):
        Matrix([[1, 2, 3]]).nearest([1, 2], 1)
    with pytest.raises(ValueError, match="different lengths"):
        Matrix([[1, 2, 3], [1, 2]])
    assert Matrix([]).nearest([1, 2], 3) == []
