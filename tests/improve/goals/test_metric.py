"""Better is better by a margin, and never both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.improve.goals.goal import Goal, GoalKind
from finetune_fsm.improve.goals.metric import Metric, improves, met

GOALS = [Goal(kind, kind.value) for kind in GoalKind]
FALLING = {GoalKind.TOKENS, GoalKind.LATENCY, GoalKind.LENGTH, GoalKind.CLARITY}
NAMES = ("a", "b", "c", "d")


@st.composite
def metrics(draw: st.DrawFn, goal: Goal) -> Metric:
    n = draw(st.sampled_from((0, 4, 5)))
    unit = draw(st.sampled_from(("x", "x", "x, estimated")))
    if goal.kind is GoalKind.ROBUSTNESS:
        passed = tuple(sorted(draw(st.sets(st.sampled_from(NAMES)))))
        return Metric("m", len(passed) / len(NAMES), unit, False, n, passed)
    if goal.kind is GoalKind.TEXT:
        return Metric("m", draw(st.sampled_from((0.0, 0.5, 1.0))), unit, False, n)
    value = draw(st.floats(0, 1000) | st.integers(0, 5).map(float))
    return Metric("m", value, unit, True, n)


pairs = st.sampled_from(GOALS).flatmap(
    lambda goal: st.tuples(st.just(goal), metrics(goal), metrics(goal), metrics(goal))
)


@given(pairs)
def test_better_is_an_order(drawn: tuple[Goal, Metric, Metric, Metric]) -> None:
    goal, a, b, c = drawn
    assert not improves(goal, a, a)
    assert not (improves(goal, a, b) and improves(goal, b, a))
    if improves(goal, a, b) and improves(goal, b, c):
        assert improves(goal, a, c)


@given(pairs)
def test_what_was_measured_otherwise_is_never_better(
    drawn: tuple[Goal, Metric, Metric, Metric],
) -> None:
    goal, old, new, _ = drawn
    if improves(goal, old, new):
        assert old.unit == new.unit
        assert old.n > 0
        assert new.n == old.n or goal.kind in (GoalKind.CLARITY, GoalKind.TEXT)
        assert new.value < old.value if goal.kind in FALLING else new.value > old.value


@given(pairs)
def test_nothing_is_better_than_what_is_met(drawn: tuple[Goal, Metric, Metric, Metric]) -> None:
    goal, old, new, _ = drawn
    if met(goal, old) and not (goal.kind is GoalKind.ROBUSTNESS and len(old.passed) < len(NAMES)):
        assert not improves(goal, old, new)


def falling(value: float, n: int = 4) -> Metric:
    return Metric("m", value, "x", True, n)


@pytest.mark.parametrize(
    ("kind", "old", "enough", "short"),
    [
        (GoalKind.TOKENS, 1000.0, 980.0, 981.0),
        (GoalKind.LENGTH, 100.0, 98.0, 98.5),
        (GoalKind.LATENCY, 10.0, 9.0, 9.1),
        (GoalKind.CLARITY, 3.0, 2.0, 3.0),
    ],
)
def test_the_margins(kind: GoalKind, old: float, enough: float, short: float) -> None:
    goal = Goal(kind, kind.value)
    assert improves(goal, falling(old), falling(enough))
    assert not improves(goal, falling(old), falling(short))
    assert not improves(goal, falling(0.0), falling(0.0))
    assert met(goal, falling(0.0))
    assert not met(goal, falling(0.0, n=0))


def test_a_perturbed_scenario_more_counts_only_if_none_is_lost() -> None:
    goal = Goal(GoalKind.ROBUSTNESS, "robustness")

    def passing(*names: str) -> Metric:
        return Metric("m", len(names) / 4, "share", False, 4, names)

    assert improves(goal, passing("a"), passing("a", "b"))
    assert not improves(goal, passing("a"), passing("b", "c"))
    assert not improves(goal, passing("a"), passing("a"))
    assert met(goal, passing(*NAMES))
