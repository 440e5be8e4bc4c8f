"""Which scenarios are held out: never shown to a model that proposes, only scored.

Chosen after the baseline ran, so that both sides have failing scenarios: a flaw must be seen to be
repaired, and a repair must be tried on what it has not seen. Of scenarios that want the same, one
is shown before one is held out, for nobody can learn of an answer that is never shown.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import replace
from math import ceil

from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport

SHARE = 1 / 3
"""Held out when nothing else is asked for, …"""

ENOUGH = 6
"""… from so many scenarios on."""

LARGEST = 0.5
"""More would leave too little to learn from."""


def held_out(report: SuiteReport, share: float | None = None, *, seed: int = 0) -> tuple[int, ...]:
    """Return the indexes of the scenarios to hold out, sorted. Pure.

    Args:
        report: The whole suite, as the user's workflow fared.
        share: Of all scenarios, 0..`LARGEST`; None for `SHARE` of `ENOUGH` or more, else none.
        seed: Decides among equals.

    Returns:
        As many as *share* says, rounded up, and at most half; never all that fail.
    """
    if share is None:
        share = SHARE if report.total >= ENOUGH else 0.0
    wanted = min(ceil(report.total * share), int(report.total * LARGEST))
    if wanted <= 0:
        return ()
    groups: dict[tuple[bool, Hashable], list[int]] = defaultdict(list)
    order = list(range(report.total))
    random.Random(seed).shuffle(order)  # noqa: S311  # no secret
    for index in order:
        result = report.results[index]
        groups[result.passed, _asks(result)].append(index)
    in_sight = report.total - report.passed  # of those that fail
    chosen: list[int] = []
    for index in _dealt(list(groups.values())):
        if len(chosen) == wanted:
            break
        if not report.results[index].passed:
            if in_sight == 1:
                continue  # what fails must stay in sight
            in_sight -= 1
        chosen.append(index)
    return tuple(sorted(chosen))


def _asks(result: ScenarioResult) -> Hashable:
    """What the scenario wants, so that equal wants share a group."""
    return tuple(replace(a, description="", weight=1.0) for a in result.scenario.assertions)


def _dealt(groups: list[list[int]]) -> list[int]:
    """Deal from all groups in turn, each one's first card last: the larger a group the sooner."""
    groups = sorted(groups, key=len, reverse=True)
    piles = [group[1:] for group in groups]
    dealt: list[int] = []
    for turn in range(max(map(len, piles), default=0)):
        dealt += [pile[turn] for pile in piles if turn < len(pile)]
    return dealt + [group[0] for group in reversed(groups)]
