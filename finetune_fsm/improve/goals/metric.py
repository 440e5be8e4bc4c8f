"""A number that says how well a workflow meets a goal, and when another one is clearly better.

A margin keeps the loop from trading a person's wording for chance: what differs by less is a tie,
and a tie keeps what the user wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from finetune_fsm.improve.goals.goal import Goal, GoalKind

LESS_TEXT = 0.02
"""Share by which tokens or characters must fall. They are counted, not timed, so that the same
replies give the same number; less than this, nobody would notice."""

LESS_TIME = 0.10
"""Share by which seconds must fall: the same replies take some percent more or less each time."""

CLEAR_STEP = 1.0
"""Unclear places that must be gone: they are whole numbers, and one is what a person can see."""


@dataclass(frozen=True, slots=True)
class Metric:
    """How well a workflow meets a goal.

    Attributes:
        name: What is measured, for people, such as ``tokens per scenario``.
        value: The number.
        unit: Of the value; two metrics of different units cannot be compared.
        lower_is_better: Which way is better.
        n: What it was measured on, scenarios or prompts; 0 when there was nothing to measure.
        passed: Names of the scenarios that passed, sorted; of robustness alone.
    """

    name: str
    value: float
    unit: str
    lower_is_better: bool
    n: int
    passed: tuple[str, ...] = ()


def improves(goal: Goal, old: Metric, new: Metric) -> bool:
    """Whether *new* is better than *old* by the margin of *goal*. Pure.

    Args:
        goal: What was measured.
        old: Of the best so far.
        new: Of the candidate; measured on as much as *old*, or nothing can be said.

    Returns:
        Never true both ways. For a goal in words: whether more was preferred to the start; the
        loop asks `judge.prefers` instead.
    """
    if old.unit != new.unit or not old.n or not new.n:
        return False
    match goal.kind:
        case GoalKind.CLARITY:  # a prompt more or less is no reason not to compare
            return new.value <= old.value - CLEAR_STEP
        case GoalKind.TOKENS | GoalKind.LENGTH:
            return old.n == new.n and _falls(old, new, LESS_TEXT)
        case GoalKind.LATENCY:
            return old.n == new.n and _falls(old, new, LESS_TIME)
        case GoalKind.ROBUSTNESS:
            return old.n == new.n and set(old.passed) < set(new.passed)
        case GoalKind.TEXT:
            return new.value > old.value
        case _ as never:
            assert_never(never)


def _falls(old: Metric, new: Metric, share: float) -> bool:
    return new.value < old.value and new.value <= old.value * (1 - share)


def met(goal: Goal, metric: Metric) -> bool:
    """Whether nothing can be better than *metric*: no candidate need be tried. Pure."""
    if goal.kind is GoalKind.TEXT or not metric.n:
        return False
    return metric.value <= 0 if metric.lower_is_better else metric.value >= 1
