"""Rollouts that were drawn, what each was judged, and what their majority says of a scenario."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport


@dataclass(frozen=True, slots=True)
class Sample:
    """One rollout of one scenario.

    Attributes:
        scenario: Index in the suite.
        draw: The how-manieth rollout of this scenario by the same workflow, 0 the first.
        rollout: What happened.
    """

    scenario: int
    draw: int
    rollout: Rollout


@dataclass(frozen=True, slots=True)
class Flips:
    """How often the same workflow got another verdict on the same scenario.

    Attributes:
        pairs: Further draws made, each compared with the first of its scenario.
        flips: Those with another verdict.
    """

    pairs: int = 0
    flips: int = 0

    def __add__(self, other: Flips) -> Flips:
        return Flips(self.pairs + other.pairs, self.flips + other.flips)

    def rate(self, expected: float) -> float:
        """Return the chance of another verdict, 0..1; *expected* is what holds before any draw.

        The mean of a Beta posterior; the prior is worth `PRIOR_PAIRS` draws. Pure.
        """
        return (self.flips + expected * PRIOR_PAIRS) / (self.pairs + PRIOR_PAIRS)


PRIOR_PAIRS = 5
"""Draws that the expected flip rate is worth."""


def verdicts(results: Iterable[tuple[int, ScenarioResult]]) -> Mapping[int, ScenarioResult]:
    """Return what the majority of draws says, by index of scenario. Pure.

    Args:
        results: Index of the scenario and result of each draw, draws of a scenario in order.

    Returns:
        What `majority` returns for each.
    """
    drawn: dict[int, list[ScenarioResult]] = defaultdict(list)
    for index, result in results:
        drawn[index].append(result)
    return {index: majority(many) for index, many in sorted(drawn.items())}


def majority(results: Sequence[ScenarioResult]) -> ScenarioResult:
    """Return the first of the draws of one scenario, one or more, that most agree with. Pure.

    One that passes as often as not has not passed.
    """
    passes = 2 * sum(result.passed for result in results) > len(results)
    return next(result for result in results if result.passed is passes)


def flips(results: Iterable[tuple[int, ScenarioResult]]) -> Flips:
    """Return how often further draws of *results* contradict the first. Pure."""
    first: dict[int, bool] = {}
    counted = Flips()
    for index, result in results:
        known = first.setdefault(index, result.passed)
        counted += Flips(1, int(known is not result.passed))
    return Flips(counted.pairs - len(first), counted.flips)


def report_of(found: Mapping[int, ScenarioResult]) -> SuiteReport:
    """Return *found* as a report, in suite order; a scenario that did not run is not in it. Pure.

    Its seconds are those of the rollouts, summed.
    """
    results = tuple(found[index] for index in sorted(found))
    return SuiteReport(results, sum(result.rollout.seconds for result in results))


def usage_of(samples: Iterable[Sample]) -> Usage:
    """What the rollouts took, as if none of their questions had been asked before. Pure."""
    return sum((sample.rollout.spent for sample in samples), Usage())
